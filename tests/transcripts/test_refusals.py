"""Every numbered reason that the kernel can give: what would be accepted, one thing changed, and the exact code."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from tests.transcripts.play import Player
from tests.transcripts.world import Network, seed
from tocsin.kernel import acts, leaves
from tocsin.kernel.charter import KindUse
from tocsin.kernel.envelope import Envelope, Refusal, decode, encode, unsigned
from tocsin.kernel.reasons import Reason
from tocsin.kernel.relays import decode_leaf

R = Reason
NOBODY = "0" * 64
WEAK = "01" + "00" * 31
"""The neutral element of the curve: an Ed25519 key of order 1."""

PAPER = """
network P charter=paper {changes}
members A,B,C,D,E,F: reporter voter; S: supervisor; U: auditor
found
at 1h
"""
OPEN = PAPER + "A submit report.fever as m\nblock\n"
ENDORSED = OPEN + "B,C,D endorse m\nblock\n"
RECORDED = ENDORSED + "S concur m\nblock\n"
FOUND = RECORDED + "U find m upheld field as f\nblock\n"
LED = RECORDED + "A lead I(m) as l\nA stage I(m) watch -> response as s\nblock\nB,C,D endorse l; endorse s\nblock\n"
ORDERED = LED + "A order order.isolate on I(m) to B,C due=1d expires=2d as o\nblock\n"
STRICT = PAPER.format(
    changes='kinds=[{"category":"icd11:1D2Z","kinds":["report.fever"]}] '
    'schemes=[{"use":"area","scheme":"iso3166-2","finest":6},{"use":"category","scheme":"icd11","finest":0}]'
)
ADMITTED = PAPER + "A admit G reporter voter as g\nblock\nB,C,D,E endorse g\nblock\n"
UPGRADED = PAPER + "A upgrade 2 as u\nblock\nB,C,D,E endorse u\nblock\n"
SECOND = "A submit report.fever new as k\nblock\nB,C,D endorse k\nblock\nS concur k\nblock\n"
LINK = "quietly link N1 under N2, represented by R"
ONE_SIDED = """
in N2
R peer add N1 relation=peer as p
block
T endorse p
block
in N1
A peer add N2 relation=parent as q
block
B endorse q
block
"""
TWO = """
network N1 charter=figure-4
members A,B: reporter voter; R: supervisor relay
network N2 charter=figure-4
members R: voter relay; T: supervisor
network N3 charter=figure-4
members X,Y: voter
found
{link}
in N1
at 1h
A submit report.fever as m
block
B endorse m
block
R concur m
block
in N2
at +1m
"""


def two(changes: str = "") -> str:
    """Two levels, and a record of N1 that waits for N2; N2's entry of N1 with changes."""
    return TWO.format(link=LINK + (f", {changes}" if changes else ""))


class Case(NamedTuple):
    """In `world`, `valid` is accepted. After `before`, in `other_world`, with a log that `tamper` wrote, or as `change`,
    `instead` or `build` have it, it is refused with `reason`: the act itself, or a leaf that it relays."""

    reason: Reason
    world: str
    valid: str
    change: Callable[[Any], Any] | None = None
    instead: str | None = None
    before: str = ""
    tamper: Callable[[Player], None] | None = None
    build: Callable[[Player], Any] | None = None
    other_world: str | None = None


def terms(**changes: Any) -> Callable[[Any], Any]:
    return lambda act: replace(act, terms=replace(act.terms, **changes))


def subject(**changes: Any) -> Callable[[Any], Any]:
    return lambda act: replace(act, subject=replace(act.subject, **changes))


def field(**changes: Any) -> Callable[[Any], Any]:
    return lambda act: replace(act, **changes)


def large(act: acts.Submit) -> acts.Submit:
    """An amendment whose charter is good and too long for its leaf."""
    assert isinstance(act.terms, acts.CharterMotion)
    kinds = [f"report.{'x' * 70}{number:02}" for number in range(16)]
    uses = [KindUse(f"icd11:{number:02}", kinds) for number in range(20)]
    return replace(act, terms=replace(act.terms, charter=replace(act.terms.charter, kinds=uses)))


# A peer that writes into its log what no honest one would, and has it signed by its quorum.


def rewritten(**changes: Any) -> Callable[[Player], None]:
    """The last leaf for N2 as it never was."""

    def tamper(player: Player) -> None:
        source = player.networks["N1"]
        index = source.outgoing(player.networks["N2"].origin, 1)[-1]
        leaf: Any = decode_leaf(source.log[index])
        source.log[index] = encode(replace(leaf, **{name: make(leaf) for name, make in changes.items()}))

    return tamper


def appended(leaf: Callable[[Network, Network], bytes]) -> Callable[[Player], None]:
    """A leaf after the last."""
    return lambda player: player.networks["N1"].log.append(leaf(player.networks["N1"], player.networks["N2"]))


def again(source: Network, other: Network) -> bytes:
    """The same record under the next number."""
    leaf: Any = decode_leaf(source.log[source.outgoing(other.origin, 1)[0]])
    return encode(replace(leaf, to=[(other.origin, 2)]))


def unknown(source: Network, other: Network) -> bytes:
    """A statement on a message that nobody here has seen."""
    original = leaves.Original(source.genesis, NOBODY)
    said = leaves.Annotated(NOBODY, original, "update", "a", None, 0, NOBODY, NOBODY, [(other.origin, 2)])
    return encode(said)


def path(*genesis: Callable[[Player], str] | str) -> Callable[[Player], None]:
    """The record as if it had come this way."""

    def tamper(player: Player) -> None:
        hops = [one if isinstance(one, str) else one(player) for one in genesis]
        source = leaves.Source(hops, leaves.Original(hops[0], seed("original").hex()), hops[-1], NOBODY, 1, 1)
        rewritten(source=lambda leaf: source, kind=lambda leaf: "relayed." + leaf.kind)(player)

    return tamper


def bad_line(text: str) -> str:
    """A checkpoint whose root is another than the one that was signed."""
    lines = text.split("\n")
    lines[2] = ("B" if lines[2][0] == "A" else "A") + lines[2][1:]
    return "\n".join(lines)


def last_leaf(player: Player) -> acts.RelayAct:
    """The last leaf of the log, whatever it is, with true proofs."""
    source, other = player.networks["N1"], player.networks["N2"]
    act = source.relay_to(other, player.now, only=0)
    return replace(act, leaves=[source.relayed(len(source.log) - 1, len(source.log))])


def strangers(count: int) -> list[str]:
    return [seed("hop", number).hex() for number in range(count)]


SUSPEND = "A suspend B 10d"
ADMIT = "A admit G reporter voter"
STAGE = "B stage I(m) watch -> alert"
ORDER = "A order order.isolate on I(m) to B,C due=1d expires=2d"
REVIEW = "A review m refuted field of=f"
RELAY = "R relay N1"

CASES = [
    # Any act
    Case(R.UNKNOWN_MESSAGE, OPEN, "B endorse m", field(message=NOBODY)),
    Case(R.NOT_OPEN, OPEN, "B endorse m", before="A withdraw m\nblock"),
    # Submit
    Case(R.NO_RULE, LED, ORDER, before="A stage I(m) response -> recovery as t\nblock\nB,C,D endorse t\nblock"),
    Case(R.NOT_AN_ISSUER, PAPER, "A submit report.fever", instead="S submit report.fever"),
    Case(R.CANNOT_PASS, PAPER, "A submit report.fever", before="B,C,D,E,F leave\nblock"),
    Case(R.RELAYED_KIND, PAPER, "A submit report.fever", field(kind="relayed.report.fever")),
    Case(R.SUBJECT_MISSING, PAPER, "A submit report.fever", field(subject=None)),
    Case(R.SUBJECT_NOT_ALLOWED, RECORDED, STAGE,
         field(subject=acts.Subject("icd11:1", ["iso3166-2:TW"], None, 1, 1, "actual"))),
    Case(R.TERMS_MISMATCH, RECORDED, STAGE, field(terms=acts.LeadMotion("stand", None))),
    Case(R.CATEGORY_NOT_ALLOWED, STRICT, "A submit report.fever", field(kind="report.cough")),
    Case(R.SCHEME_NOT_ALLOWED, STRICT, "A submit report.fever", subject(areas=["nuts:TW-TNN"])),
    Case(R.CODE_TOO_FINE, STRICT, "A submit report.fever", subject(areas=["iso3166-2:TW-TNN-7"])),
    Case(R.NOT_SORTED, PAPER, "A submit report.fever area=TW-KHH,TW-TNN",
         subject(areas=["iso3166-2:TW-TNN", "iso3166-2:TW-KHH"])),
    Case(R.ONSET_AFTER_DETECTION, PAPER, "A submit report.fever onset=0", instead="A submit report.fever onset=1"),
    Case(R.DETECTED_IN_FUTURE, PAPER, "A submit report.fever detected=1", instead="A submit report.fever detected=2"),
    Case(R.NO_TOKEN, PAPER, "A submit report.fever", before="A submit report.x\nA submit report.x\n" * 2 + "block"),
    Case(R.TOO_MANY_REPORTS, PAPER.format(changes="limits.reports_week=1"), "A submit report.fever",
         before="A submit report.fever exercise\nblock"),
    Case(R.TOO_MANY_OPEN, PAPER.format(changes="limits.open_messages=1"), "A submit report.fever",
         before=SUSPEND + "\nblock"),
    Case(R.TOO_MANY_MOTIONS, PAPER.format(changes="limits.open_motions=1"), SUSPEND, before=ADMIT + "\nblock"),
    Case(R.UNKNOWN_INCIDENT, RECORDED, "B submit report.fever on I(m)", field(incident=NOBODY)),
    Case(R.INCIDENT_CLOSED, RECORDED, "B submit report.fever on I(m)",
         before="A close I(m) as c\nblock\nB,C,D endorse c\nblock"),
    Case(R.INCIDENT_REQUIRED, RECORDED, STAGE, field(incident=None)),
    Case(R.INCIDENT_NOT_ALLOWED, PAPER, SUSPEND, field(incident="new")),
    Case(R.INCIDENT_NOT_ALLOWED, two() + "in N1\n", "R share m to N2", field(incident=NOBODY)),
    Case(R.STATUS_MISMATCH, RECORDED, "B submit report.fever on I(m)", subject(status="exercise")),
    Case(R.DUPLICATE_IN_BLOCK, PAPER, "A leave", before="A leave"),
    Case(R.UNKNOWN_KIND, PAPER, "A submit report.fever", field(kind="gossip.fever", subject=None)),
    # Ballots, vetoes, withdrawals
    Case(R.NOT_AN_ELECTOR, OPEN, "B endorse m", instead="A endorse m"),
    Case(R.ALREADY_JUDGED, OPEN, "B endorse m", before="B reject m\nblock"),
    Case(R.CODE_REQUIRED, OPEN, "B abstain m data-late", field(code=None)),
    Case(R.CODE_NOT_ALLOWED, OPEN, "S veto m false-alarm", field(code="whim")),
    Case(R.NOT_ELIGIBLE_TO_VETO, OPEN, "S veto m", instead="B veto m"),
    Case(R.ALREADY_CONCURRED, OPEN, "S concur m", before="S concur m\nblock"),
    Case(R.NOT_THE_AUTHOR, OPEN, "A withdraw m", instead="B withdraw m"),
    Case(R.LEAD_DOES_NOT_VETO, RECORDED + "B submit report.fever on I(m) as n\nblock\n", "S veto n",
         before="S lead I(m) as l\nblock\nA,B,C,D endorse l\nblock"),
    Case(R.DATA_FROM_FUTURE, PAPER, "A present 1", instead="A present 2"),
    Case(R.DATA_FROM_FUTURE, OPEN, "B endorse m through=1", instead="B endorse m through=2"),
    # Annotations
    Case(R.NOT_ANNOTATABLE, OPEN, "A say update m", before="A withdraw m\nblock"),
    Case(R.NOT_AN_ENDORSER, ENDORSED, "B say recant m", instead="E say recant m"),
    Case(R.NOT_A_SUPERVISOR, OPEN, "S say object m", instead="B say object m"),
    Case(R.ALREADY_ANNOTATED, OPEN, "S say object m", before="S say object m"),
    # Orders
    Case(R.NOT_AN_ADDRESSEE, ORDERED, "B answer o done", instead="D answer o done"),
    Case(R.ALREADY_ANSWERED, ORDERED, "B answer o done", before="B answer o cannot no-staff"),
    Case(R.ORDER_OVER, ORDERED, "B answer o done", before="A revoke o on I(m)\nblock"),
    Case(R.UNKNOWN_ADDRESSEE, LED, ORDER, terms(to=["b", "nobody"])),
    Case(R.BAD_TIMES, LED, ORDER, instead=ORDER.replace("due=1d", "due=3d")),
    Case(R.ORDER_NOT_RUNNING, ORDERED, "A revoke o on I(m)", before="A revoke o on I(m)\nblock"),
    Case(R.ORDER_NOT_RUNNING, ORDERED + SECOND + "A stage I(k) watch -> response as s2\nA lead I(k) as l2\nblock\n"
         "B,C,D endorse s2; endorse l2\nblock\n", "A revoke o on I(m)", instead="A revoke o on I(k)"),
    # Motions
    Case(R.BASE_DOES_NOT_HOLD, RECORDED, STAGE, terms(base="response")),
    Case(R.NO_SUCH_EDGE, RECORDED, STAGE, terms(to="recovery")),
    Case(R.SUBJECT_IS_MOVER, PAPER, SUSPEND, terms(member="a")),
    Case(R.UNKNOWN_MEMBER, PAPER, SUSPEND, terms(member="nobody")),
    Case(R.NOT_APPLICABLE, PAPER, SUSPEND, instead="A reinstate B"),
    Case(R.SUPERVISOR_AT_ONCE, PAPER, ADMIT, terms(roles=["reporter", "supervisor"])),
    Case(R.KEY_USED, PAPER, ADMIT, instead="A admit G reporter voter keys=B"),
    Case(R.ID_USED, PAPER, ADMIT, instead="A admit B reporter voter"),
    Case(R.ENTITY_USED, PAPER, ADMIT, terms(entity="lei:B")),
    Case(R.BAD_PROOF_OF_POSSESSION, PAPER, ADMIT, instead=ADMIT + " proofs=bad"),
    Case(R.PROOFS_EXPIRED, PAPER, ADMIT, instead=ADMIT + " expires=0h"),
    Case(R.CHARTER_REFUSED, PAPER, "A charter tokens.bucket=5", instead="A charter report.*@*.window_s=0"),
    Case(R.WEAK_KEY, PAPER, ADMIT, lambda act: terms(keys=replace(act.terms.keys, act=WEAK))(act)),
    Case(R.UNKNOWN_STAGE, RECORDED, STAGE, terms(to="panic")),
    Case(R.SECOND_PARENT, two() + "in N1\n", "A peer add N3 relation=peer", instead="A peer add N3 relation=parent"),
    Case(R.PEER_KNOWN, two(), "R peer add N3 relation=peer", lambda act: replace(
        act, terms=replace(act.terms, origin="another.example"),
    ), before="R peer add N3 relation=peer as p\nblock\nT endorse p\nblock"),
    Case(R.BAD_DUPLICATE, RECORDED + SECOND, "B close I(k) duplicate=I(m)", instead="B close I(k) duplicate=I(k)"),
    Case(R.LEAF_TOO_LARGE, PAPER, "A charter tokens.bucket=5", large),
    # Findings
    Case(R.NOT_A_REPORT, LED, "U find m upheld field", instead="U find s upheld field"),
    Case(R.NOT_FINAL, RECORDED + "B submit report.fever new as n\nblock\n", "U find m upheld field",
         instead="U find n upheld field"),
    Case(R.PARTY_OR_LEAD, OPEN + "S veto m\nblock\n", "U find m refuted field", instead="S find m refuted field"),
    Case(R.FINDING_STANDS, RECORDED, "S find m upheld field", before="U find m upheld field\nblock"),
    Case(R.ONLY_UNDETERMINED, RECORDED, "S find m undetermined none", instead="S find m upheld none"),
    Case(R.NO_FINDING, FOUND, REVIEW, terms(finding=NOBODY)),
    Case(R.REVIEW_EXISTS, FOUND, REVIEW, before="B review m undetermined none of=f\nblock"),
    Case(R.EVIDENCE_DIGEST_REQUIRED, FOUND, REVIEW, terms(evidence=None)),
    # Between networks: the whole act
    Case(R.UNKNOWN_PEER, two(), RELAY, field(peer="health.example/nowhere")),
    Case(R.PEER_FROZEN, two(), RELAY, before="T evidence N1\nblock"),
    Case(R.BAD_CHECKPOINT, two(), RELAY, lambda act: replace(act, checkpoint=act.checkpoint[1:])),
    Case(R.BAD_CHECKPOINT, two(), RELAY, lambda act: replace(act, checkpoint=bad_line(act.checkpoint))),
    Case(R.NOT_FINAL_CHECKPOINT, two(), RELAY, instead=RELAY + " lines=1"),
    Case(R.BAD_CONSISTENCY, two(), RELAY, field(consistency=[])),
    Case(R.BAD_INCLUSION, two(), RELAY, instead=RELAY + " forged"),
    Case(R.WRONG_NUMBER, two(), RELAY, tamper=appended(again), instead=RELAY + " skip=1"),
    Case(R.BAD_LEAF, two(), RELAY, tamper=appended(lambda source, other: b'{"leaf":"rumour"}'), build=last_leaf),
    Case(R.NOT_FOR_US, two(), RELAY, build=last_leaf),
    Case(R.BAD_ROSTER, two(), RELAY, lambda act: replace(act, roster=act.leaves[0])),
    Case(R.CHECKPOINT_BEHIND, two(), RELAY + " size=5 only=0", instead=RELAY + " size=3 only=0"),
    Case(R.NOTHING_TO_RELAY, two(), RELAY, before=RELAY + "\nblock"),
    # Between networks: one leaf, told as its code
    Case(R.BAD_LEAF, two(), RELAY, tamper=rewritten(kind=lambda leaf: "finding")),
    Case(R.DUPLICATE, two(), RELAY, tamper=appended(again)),
    Case(R.LOOP, two(), RELAY, tamper=path(lambda player: player.networks["N2"].genesis, *strangers(1))),
    Case(R.TOO_MANY_HOPS, two(), RELAY, tamper=path(*strangers(8))),
    Case(R.TOO_FEW_ENDORSERS, two(), RELAY, other_world=two("min_endorsers=2")),
    Case(R.TOO_OLD, two(), RELAY, before="at 7d2h"),
    Case(R.PEER_QUOTA, two(), RELAY, other_world=two("per_week=0")),
    Case(R.WRONG_RELATION, two(), RELAY, other_world=two().replace(LINK, ONE_SIDED)),
    Case(R.NOTHING_KNOWN, two(), RELAY, tamper=appended(unknown)),
    Case(R.SUBJECT_MISSING, two(), RELAY, tamper=rewritten(subject=lambda leaf: None)),
    # Keys, members, evidence
    Case(R.NOT_EVIDENCE, two(), "T evidence N1", instead="T evidence N1 same"),
    Case(R.PROVES_NOTHING_NEW, two(), "T evidence N1", before="T evidence N1"),
    Case(R.LAST_SIGNER, PAPER, "A leave", before="B,C,D,E,F,S,U leave\nblock"),
    Case(R.ALREADY_JOINED, ADMITTED, "G join", before="G join"),
    Case(R.NOT_AT_HEAD, ADMITTED, "G join", instead="G join height=+1"),
    Case(R.UNSEALED, ADMITTED, "G join", before="A leave\nblock"),
    Case(R.NOT_A_SEAL, PAPER + "A leave\nblock\n", "B seal", instead="B seal lines=5"),
    Case(R.NO_SUCH_UPGRADE, UPGRADED, "A ready 2", instead="A ready 3"),
    Case(R.ALREADY_READY, UPGRADED, "A ready 2", before="A ready 2"),
    Case(R.NOT_APPLICABLE, PAPER, "A upgrade 2", instead="A upgrade 1"),
    Case(R.THROUGH_GOES_BACK, PAPER, "A present 0", before="A present 1"),
]


def world(text: str) -> Player:
    player = Player()
    play(player, text.replace("{changes}", ""))
    return player


def play(player: Player, text: str) -> None:
    for line in text.splitlines():
        if line.strip():
            list(player.line(line))


def met(player: Player, author: str, act: Any, **how: Any) -> list[Reason]:
    """What the last act of the next block meets, and after it what its leaves meet."""
    network = player.network
    network.put(player.verbs.member(author), [act], player.now, ["the act"], **how)
    result = network.block(player.now)
    last = len(result.queue) - 1
    dropped = dict(result.outcome.dropped)
    if last in dropped:
        return [dropped[last]]
    leaves_met = [Reason(leaf.code) for leaf in result.leaves if isinstance(leaf, leaves.Relayed)]
    return [Reason(result.outcome.receipts[-1][-1]), *leaves_met]


def said(player: Player, line: str) -> tuple[str, Any]:
    author, _, text = line.partition(" ")
    player.verbs.author = author
    return author, player.verbs.parse(player.verbs.member(author), text).act


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason.name.lower())
def test_refused(case: Case) -> None:
    player = world(case.world)
    author, act = said(player, case.valid)
    assert set(met(player, author, act)) == {Reason.ACCEPTED}

    player = world(case.other_world or case.world)
    play(player, case.before)
    if case.tamper is not None:
        case.tamper(player)
    if case.build is not None:
        act = case.build(player)
    else:
        author, act = said(player, case.instead or case.valid)
        act = act if case.change is None else case.change(act)
    found = met(player, author, act)
    assert case.reason in (found[0], found[-1])
    assert {Reason.ACCEPTED, case.reason} >= set(found)


# Envelopes that no block may hold.


def as_another(network: Network) -> Envelope:
    return network.sign("nobody", [acts.Present(0)], AT)


def forged(network: Network) -> Envelope:
    """The right key, and a signature of something else."""
    draft = unsigned(network.genesis, "a", AT + 1000, [acts.Present(0)])
    key = network.keyring("a").signer("act")
    read = decode(draft.seal(key.public_key, key.sign(b"something else")))
    assert not isinstance(read, Refusal)
    return read


AT = 1_772_442_000_000
"""An hour after the scenario's beginning."""

ENVELOPES: dict[Reason, Callable[[Network], Envelope]] = {
    R.OTHER_GENESIS: lambda network: network.sign("a", [acts.Present(0)], AT, genesis=NOBODY),
    R.UNKNOWN_AUTHOR: as_another,
    R.AUTHOR_NOT_ACTIVE: lambda network: network.sign("f", [acts.Present(0)], AT),
    R.NOT_AUTHORS_KEY: lambda network: network.sign("a", [acts.Present(0)], AT, key=network.keyring("b").signer("act")),
    R.BAD_SIGNATURE: forged,
    R.EXPIRED: lambda network: network.sign("a", [acts.Present(0)], AT, valid=0),
    R.TOO_FAR_AHEAD: lambda network: network.sign("a", [acts.Present(0)], AT, valid=3_600_001),
    R.SEEN_BEFORE: lambda network: network.sign("a", [acts.Present(1)], AT, valid=60_000),
    R.ROOT_KEY_ONLY_ROTATES: lambda network: network.sign(
        "a", [acts.Present(0)], AT, key=network.keyring("a").signer("root")
    ),
}


def network_of_envelopes() -> Network:
    """F has left, and one envelope was taken already."""
    player = world(PAPER + "F leave\nblock\n")
    network = player.network
    network.put("a", [acts.Present(1)], AT, ["present"], valid=60_000)
    network.block(AT)
    return network


@pytest.mark.parametrize("reason", ENVELOPES, ids=lambda reason: reason.name.lower())
def test_not_admitted(reason: Reason) -> None:
    network = network_of_envelopes()
    good = network.sign("a", [acts.Present(2)], AT, valid=3_600_000)
    bad = ENVELOPES[reason](network)
    outcome = network.apply(AT, [bad, good])
    assert outcome.dropped == [(0, reason)]
    assert [one.digest for one in outcome.consumed] == [good.digest]
    assert not network.apply(AT, [bad]).changed


def test_quota() -> None:
    """Charged for what is consumed, and for nothing that is refused before its signature is known to hold."""
    player = world(PAPER.format(changes="limits.envelopes=2"))
    network = player.network
    waiting = [network.sign("a", [acts.Present(0)], AT, valid=1000 + number) for number in range(3)]
    outcome = network.apply(AT, [forged(network), forged(network), *waiting])
    assert outcome.dropped == [(0, R.BAD_SIGNATURE), (1, R.BAD_SIGNATURE), (4, R.QUOTA)]


def test_keys_of_oneself() -> None:
    """`rotate` is refused unless the root key signed it, the key is new and strong, and proved itself."""
    player = world(PAPER)
    network, root = player.network, {"key": player.network.keyring("a").signer("root")}
    _, act = said(player, "A rotate act")
    assert met(player, "A", act) == [R.NOT_AUTHORS_KEY]
    used = replace(act, key=network.keyring("b").keys().act)
    assert met(player, "A", used, **root) == [R.KEY_USED]
    assert met(player, "A", replace(act, key=WEAK), **root) == [R.WEAK_KEY]
    assert met(player, "A", replace(act, proof="00" * 64), **root) == [R.BAD_PROOF_OF_POSSESSION]
    assert met(player, "A", act, **root) == [R.ACCEPTED]


def test_too_many_members() -> None:
    """A hundred at most, those that left included, for ids and entities are never free again."""
    for many, reason in ((95, R.ACCEPTED), (96, R.TOO_MANY_MEMBERS)):
        names = ",".join(f"N{number}" for number in range(many))
        player = world(f"network P charter=paper\nmembers A,B,C,D: reporter voter; {names}: reporter\nfound\nat 1h")
        assert met(player, *said(player, "A admit Z reporter")) == [reason]


EXERCISED = {case.reason for case in CASES} | set(ENVELOPES) | {R.QUOTA, R.TOO_MANY_MEMBERS}
"""Every reason that a test above meets: an envelope, an act or a relayed leaf that was good, with one thing changed."""


def test_all_reasons_are_covered() -> None:
    assert {reason for reason in Reason if 200 <= reason < 500} == EXERCISED
