"""A log that lies: every leaf is proven and final, every line signed, and the verifier's own arithmetic says no.

Each case changes one thing in a true log, signs the result with the members' real finality keys, and hands the
verifier a whole, canonical dossier of it.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from tests.client.test_dossier import finding, history_of_epochs, incident_of, motion, rotated, with_auditors
from tests.client.world import HOUR, PEOPLE, Log, World, judge, keys_of, report, signer
from tocsin import charters
from tocsin.client.dossier import Dossier, Handover, ShownAct, ShownLeaf, build_dossier, encode_dossier
from tocsin.client.policy import Pin, Policy, policy_of_roster
from tocsin.client.report import Report
from tocsin.client.signing import SeedSigner, cosign_checkpoint, prove_possession, sign_acts, sign_checkpoint
from tocsin.client.verify import verify
from tocsin.kernel.acts import (
    Acknowledge,
    AdmitMotion,
    Annotate,
    Concur,
    LeadMotion,
    Order,
    StageMotion,
    Submit,
    VetoAct,
)
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import Envelope, decode, encode, unsigned
from tocsin.kernel.leaves import (
    Annotated,
    Ballot,
    BlockLeaf,
    CharterLeaf,
    Final,
    FindingLeaf,
    GenesisLeaf,
    Opened,
    OrderReceipts,
    PeerLeaf,
    Relayed,
    RosterLeaf,
    Settled,
)
from tocsin.tlog import Checkpoint, checkpoint, merkle, note
from tocsin.tlog.note import Signature

Acts = Callable[[list[ShownAct]], list[ShownAct]]

HISTORIES: dict[str, Callable[[], tuple[World, str]]] = {}


def history(make: Callable[[], tuple[World, str]]) -> Callable[[], tuple[World, str]]:
    HISTORIES[make.__name__] = make
    return make


@history
def supervised() -> tuple[World, str]:
    """annan's report, endorsed by beimen and cigu, a late rejection by danei; health concurs."""
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    world.block(("danei", judge(message, "reject")))
    world.block(("health", Concur(message)))
    return world, message


@history
def silent() -> tuple[World, str]:
    world = World()
    return world, world.recorded()


@history
def rejected() -> tuple[World, str]:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message, "reject")), ("cigu", judge(message, "reject")))
    return world, message


@history
def vetoed() -> tuple[World, str]:
    world = World()
    message = world.submit("annan", report())
    codes = world.genesis.charter.codes.veto
    world.block(("health", VetoAct(message, codes[0] if codes else "other", None)))
    return world, message


@history
def voted() -> tuple[World, str]:
    world = World(charter=replace(charters.for_network("pilot", 4, 1, k=2)[0], kinds=[]))
    message = world.submit("annan", report("report.urgent.dengue", incident="new"))
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    return world, message


@history
def moved() -> tuple[World, str]:
    world = World()
    incident = incident_of(world, world.recorded())
    message = world.submit("annan", motion("stage", StageMotion("watch", "response"), incident))
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    return world, message


@history
def settled() -> tuple[World, str]:
    world = World()
    message = world.recorded()
    world.block(("annan", Annotate(message, "update", None)))
    world.block(("health", finding(message)))
    return world, message


@history
def stained() -> tuple[World, str]:
    world = with_auditors()
    message = world.recorded(window=12 * HOUR)
    world.block(("audit-a", finding(message, "refuted", "field")))
    return world, message


@history
def ordered() -> tuple[World, str]:
    world = World()
    incident = incident_of(world, world.recorded())
    for kind, terms in (("lead", LeadMotion("stand", None)), ("stage", StageMotion("watch", "response"))):
        message = world.submit("annan", motion(kind, terms, incident))
        world.block(("beimen", judge(message)), ("cigu", judge(message)))
    terms = Order(["beimen", "cigu"], world.at + 2 * HOUR, world.at + 4 * HOUR, None)
    order = world.submit("annan", Submit("order.spray", incident, None, terms, None))
    world.block(*((one, Acknowledge(order, "done", None)) for one in ("beimen", "cigu")))
    return world, order


@history
def relayed() -> tuple[World, str]:
    charter = charters.load("paper")
    county = World(people=PEOPLE | {"bureau": ["relay"]}, charter=charter)
    people: dict[str, list[Any]] = {name: ["relay", "voter"] for name in ("kaohsiung", "tainan", "taipei")}
    nation = World("health.example/tw", people | {"centre": ["supervisor"]}, charter)
    nation.at = county.at
    county.befriend(nation, "parent", None, ["annan", "beimen", "cigu", "danei"])
    nation.befriend(county, "child", "tainan", ["kaohsiung", "tainan", "taipei", "centre"])
    county.recorded()
    nation.at = county.at
    county.relay_to(nation, "taipei")
    message = next(iter(nation.state.messages))
    nation.block(("kaohsiung", judge(message)), ("taipei", judge(message)))
    nation.block(later=HOUR)
    return nation, message


@pytest.fixture(scope="module")
def worlds() -> dict[str, tuple[World, str]]:
    made = {name: make() for name, make in HISTORIES.items()}
    for world, message in made.values():
        assert world.verify(message).ok
    return made


def place_of(log: Log, kind: type, message: str | None = None, last: bool = False) -> int:
    found = [
        index
        for index, leaf in enumerate(log.decoded)
        if isinstance(leaf, kind)
        and message in (None, *(getattr(leaf, name, None) for name in ("id", "target", "order")))
    ]
    return found[-1 if last else 0]


def forged(world: World, changes: dict[int, Any]) -> Log:
    """The same log with other leaves, made final by its own members."""
    log = Log(world.genesis)
    log.leaves = [encode(changes[index]) if index in changes else leaf for index, leaf in enumerate(world.leaves)]
    log.decoded = [changes.get(index, leaf) for index, leaf in enumerate(world.decoded)]
    log.hashes = [merkle.leaf_hash(leaf) for leaf in log.leaves]
    log.journal = world.journal
    log.sign(world.log, world.finality, world.at // 1000)
    return log


def checked(
    world: World, message: str, changes: dict[int, Any], policy: Policy | None = None, acts: Acts | None = None
) -> Report:
    """The verifier's word on the true dossier, its leaves taken from the forged log."""
    log = forged(world, changes)
    honest = build_dossier(world, message)
    shown = [
        ShownLeaf(
            leaf.index, Raw(log.leaves[leaf.index]), [one.hex() for one in log.inclusion(leaf.index, len(log.leaves))]
        )
        for leaf in honest.leaves
    ]
    signed = acts(list(honest.acts)) if acts else honest.acts
    return verify(
        encode_dossier(replace(honest, checkpoint=log.checkpoint().decode(), leaves=shown, acts=signed)),
        policy or world.policy(),
    )


Change = Callable[[Any], dict[str, Any]]


def ballots(change: Callable[[list[Ballot]], list[Ballot]]) -> Change:
    return lambda leaf: {"ballots": change(list(leaf.ballots))}


def rule(**changes: Any) -> Change:
    return lambda leaf: {"rule": replace(leaf.rule, **changes)}


def answered(**changes: Any) -> Change:
    return lambda leaf: {"answers": [replace(leaf.answers[0], **changes), *leaf.answers[1:]]}


# (history, leaf, or leaves changed alike, change, what the verifier says)
BOTH = (Opened, Final)
LIES: list[tuple[str, type | tuple[type, ...], Change, str]] = [
    ("supervised", BOTH, lambda leaf: {"need": 1}, "The record says that 1 must endorse; the rule says 2."),
    ("supervised", BOTH, lambda leaf: {"size": 2}, "The size is not that of the electorate."),
    ("supervised", BOTH, lambda leaf: {"electorate": ["beimen", "cigu"], "size": 2}, "leaves out danei, who may judge"),
    (
        "supervised", BOTH, lambda leaf: {"electorate": ["annan", "beimen", "cigu", "danei"], "size": 4},
        "The electorate holds somebody whom the rule does not let judge",
    ),
    ("supervised", BOTH, lambda leaf: {"electorate": ["cigu", "beimen", "danei"]}, "or is not sorted"),
    ("supervised", BOTH, rule(window_s=3600), "The charter has another rule"),
    ("supervised", BOTH, rule(threshold=None), "The charter has another rule"),
    ("supervised", BOTH, lambda leaf: {"stage": "recovery", "charter": "00" * 32}, "lacks the charter of the record"),
    ("supervised", BOTH, lambda leaf: {"author": "danei"}, "lacks the signed act 70ca4176ade0 of danei"),
    ("supervised", BOTH, lambda leaf: {"kind": "report.event.dengue"}, "annan signed another content"),
    (
        "supervised", BOTH, lambda leaf: {"subject": replace(leaf.subject, severity=4)},
        "annan signed another content than the log recorded.",
    ),
    ("supervised", BOTH, lambda leaf: {"body": "00" * 32}, "annan signed another content"),
    ("supervised", Final, lambda leaf: {"subject": replace(leaf.subject, severity=4)}, "subject is not the one"),
    ("supervised", Final, lambda leaf: {"electorate": ["beimen", "cigu"]}, "record's electorate is not the one"),
    ("supervised", Final, lambda leaf: {"opened": leaf.opened - 1}, "at the time it states"),
    ("supervised", Opened, lambda leaf: {"ends": leaf.ends + 1}, "not opened for the time that the rule gives"),
    ("supervised", Opened, lambda leaf: {"notice": leaf.at + 1}, "The notice is not the one that the rule gives."),
    ("supervised", Opened, lambda leaf: {"eligible": []}, "health could not veto, though the rule lets them"),
    ("supervised", Opened, lambda leaf: {"eligible": ["danei", "health"]}, "Somebody may veto whom the rule"),
    ("supervised", Opened, lambda leaf: {"incident": "new"}, "annan named another incident than the log says."),
    ("supervised", Final, ballots(lambda one: one[1:]), "Only 1 endorsed; 2 are needed to record it."),
    ("supervised", Final, ballots(lambda one: [*one, one[0]]), "A member has two ballots in the certificate."),
    (
        "supervised", Final, ballots(lambda one: [replace(one[0], verdict="reject"), *one[1:]]),
        "beimen signed another ballot than the certificate says.",
    ),
    ("supervised", Final, ballots(lambda one: [replace(one[0], by="judge"), *one[1:]]), "signed another ballot"),
    ("supervised", Final, ballots(lambda one: [replace(one[0], epoch=2), *one[1:]]), "lacks the roster of epoch 2"),
    ("supervised", Final, ballots(lambda one: [one[2], one[0], one[1]]), "marked late stands before one that counted"),
    ("supervised", Final, ballots(lambda one: [replace(one[0], late=True), *one[1:]]), "marked late stands before"),
    (
        "supervised", Final, ballots(lambda one: [replace(one[0], member="health"), *one[1:]]),
        "health judged without being an elector.",
    ),
    ("supervised", Final, lambda leaf: {"vetoers": ["danei"]}, "It was recorded before the veto window was over"),
    ("supervised", Final, lambda leaf: {"vetoers": []}, "recorded before the veto window was over, though health"),
    ("supervised", Final, lambda leaf: {"by": "health"}, "A record is not ended by anybody."),
    ("supervised", Final, lambda leaf: {"id": "00" * 32}, "holds 0 final leaves of its message"),
    ("silent", Final, lambda leaf: {"vetoers": ["beimen"]}, "Somebody concurred who could not veto."),
    ("voted", Final, ballots(lambda one: [one[0], replace(one[1], late=True)]), "marked late, though this"),
    ("voted", Final, lambda leaf: {"incident": "00" * 32}, "did not open the"),
    ("voted", Opened, lambda leaf: {"joins": "00" * 32, "eligible": ["danei"]}, "Somebody may veto whom the rule"),
    ("rejected", Final, ballots(lambda one: one[:1]), "does not follow from the ballots"),
    ("rejected", BOTH, lambda leaf: {"status": "test"}, "another status than its subject"),
    ("vetoed", Final, lambda leaf: {"by": "danei"}, "danei had no veto on this message."),
    ("vetoed", Final, lambda leaf: {"code": "nonsense"}, "health vetoed with another code"),
    ("moved", Final, ballots(lambda one: [replace(one[0], verdict="abstain", code="other"), *one[1:]]), "The mover's"),
    ("moved", BOTH, lambda leaf: {"incident": "00" * 32}, "annan named another incident"),
    ("moved", BOTH, lambda leaf: {"terms": StageMotion("watch", "alert")}, "annan signed another content"),
    ("settled", FindingLeaf, lambda leaf: {"verdict": "refuted"}, "health signed another finding than the log says."),
    ("settled", FindingLeaf, lambda leaf: {"evidence_class": "none"}, "A finding decides without evidence."),
    ("settled", FindingLeaf, lambda leaf: {"overturned": True}, "Whether the veto was overturned does not follow"),
    ("settled", FindingLeaf, lambda leaf: {"original": replace(leaf.original, id="00" * 32)}, "another original"),
    ("settled", FindingLeaf, lambda leaf: {"by": "nobody"}, "neither a member's nor one that a peer sent"),
    ("settled", FindingLeaf, lambda leaf: {"counts": False}, "A settlement is of no finding shown"),
    ("settled", Settled, lambda leaf: {"finding": "00" * 32}, "A settlement is of no finding shown"),
    ("settled", Settled, lambda leaf: {"posts": leaf.posts[1:]}, "passes over annan"),
    (
        "settled", Settled, lambda leaf: {"posts": [replace(leaf.posts[0], amount=30), *leaf.posts[1:]]},
        "The settlement is not what the charter gives.",
    ),
    ("settled", Settled, lambda leaf: {"annulled": [{"member": "annan", "part": "author"}]}, "The stains annulled"),
    ("settled", Annotated, lambda leaf: {"note": "retract"}, "The annotation of annan is not the one that it signed"),
    ("settled", Annotated, lambda leaf: {"at": leaf.at + 1}, "lacks the block leaf"),
    ("stained", Settled, lambda leaf: {"stains": leaf.stains[:-1]}, "passes over cigu"),
    ("stained", Settled, lambda leaf: {"stains": [*leaf.stains, leaf.stains[0]]}, "not what the charter gives"),
    ("ordered", OrderReceipts, lambda leaf: {"answers": leaf.answers[:1]}, "not those of the order's addressees"),
    (
        "ordered", OrderReceipts,
        lambda leaf: {"answers": [replace(leaf.answers[0], answer="cannot", code="other"), leaf.answers[1]]},
        "beimen signed another answer",
    ),
    ("ordered", OrderReceipts, answered(late=True), "has a time that cannot be"),
    ("ordered", OrderReceipts, answered(received=1), "has a time that cannot be"),
    ("ordered", OrderReceipts, answered(received=None), "has a time that cannot be"),
    ("ordered", OrderReceipts, answered(answer="cannot", code="other"), "beimen signed another answer"),
    ("moved", Final, lambda leaf: {"incident": "00" * 32}, "not the one it was opened for"),
    ("rejected", Final, lambda leaf: {"incident": "00" * 32}, "not the one it was opened for"),
    ("silent", BlockLeaf, lambda leaf: {"height": 0}, "is not later than the one before"),
    ("silent", BlockLeaf, lambda leaf: {"at": 0}, "is not later than the one before"),
    ("silent", BlockLeaf, lambda leaf: {"epoch": 0}, "is not later than the one before"),
    ("relayed", Relayed, lambda leaf: {"code": 432}, "The leaf of the relay and the record made of it do not agree."),
    ("relayed", Relayed, lambda leaf: {"genesis": "00" * 32}, "not that of what the peer sent"),
    ("relayed", Relayed, lambda leaf: {"number": 2}, "The record's id is not that of what the peer sent."),
    ("relayed", (*BOTH, Relayed), lambda leaf: {"source": replace(leaf.source, endorsers=9)}, "the peer's leaf says"),
    ("relayed", (*BOTH, Relayed), lambda leaf: {"source": replace(leaf.source, path=[])}, "peer that sent it"),
    ("relayed", (*BOTH, Relayed), lambda leaf: {"source": replace(leaf.source, sender="zz")}, "peer that sent it"),
    ("relayed", BOTH, lambda leaf: {"subject": replace(leaf.subject, severity=4)}, "the peer's leaf says"),
    (
        "relayed", PeerLeaf, lambda leaf: {"entry": replace(leaf.entry, log_key=leaf.entry.roster[0].finality)},
        "not signed by the peer's log",
    ),
    (
        "relayed", PeerLeaf, lambda leaf: {"entry": replace(leaf.entry, represented_by="taipei")},
        "The electorate holds somebody whom the rule does not let judge",
    ),
    ("relayed", PeerLeaf, lambda leaf: {"entry": None}, "peer that sent it"),
    ("silent", GenesisLeaf, lambda leaf: {"genesis": "00" * 32}, "does not begin with the genesis"),
    ("silent", GenesisLeaf, lambda leaf: {"origin": "other.example"}, "does not begin with the genesis"),
    ("silent", BlockLeaf, lambda leaf: {"at": leaf.at + 1}, "lacks the block leaf"),
    ("silent", RosterLeaf, lambda leaf: {"members": leaf.members[1:]}, "is not the one trusted or handed over to"),
    ("silent", CharterLeaf, lambda leaf: {"charter": replace(leaf.charter, name="other")}, "not have the digest"),
]  # fmt: skip


@pytest.mark.parametrize("lie", range(len(LIES)), ids=[f"{one[0]}-{number}" for number, one in enumerate(LIES)])
def test_a_lying_log_is_found_out(lie: int, worlds: dict[str, tuple[World, str]]) -> None:
    name, kinds, change, sentence = LIES[lie]
    world, message = worlds[name]
    changes = {}
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        about = message if kind in (Opened, Final, Relayed, Annotated, FindingLeaf, Settled, OrderReceipts) else None
        index = place_of(world, kind, about, last=kind is BlockLeaf)
        changes[index] = replace(world.decoded[index], **change(world.decoded[index]))
    result = checked(world, message, changes)
    assert not result.ok
    assert sentence in result.lines[-1].text, result.lines[-1].text


# Signed acts.


def with_acts(world: World, message: str, change: Callable[[list[ShownAct]], list[ShownAct]]) -> Report:
    dossier = build_dossier(world, message)
    return verify(encode_dossier(replace(dossier, acts=change(list(dossier.acts)))), world.policy())


def shown(data: bytes, index: int = 0) -> ShownAct:
    read = decode(data)
    assert isinstance(read, Envelope)
    others = [one for place, one in enumerate(read.act_digests) if place != index]
    act = Raw(encode(read.acts[index]))
    return ShownAct(Raw(encode(read.header)), read.key, read.signature.hex(), index, act, others)


def by_author(act: ShownAct, author: str) -> bool:
    return f'"author":"{author}"'.encode() in bytes(act.header)


def swapped(author: str, data: bytes) -> Callable[[list[ShownAct]], list[ShownAct]]:
    """The true acts, with the one of this author in another envelope, at its place by digest."""

    def change(acts: list[ShownAct]) -> list[ShownAct]:
        def order(one: ShownAct) -> str:
            payload = bytes(one.header)
            kind = b"application/vnd.tocsin.acts+json"
            return digest(b"envelope", b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))

        return sorted([*(one for one in acts if not by_author(one, author)), shown(data)], key=order)

    return change


def test_ballots_must_be_signed_by_their_members_own_keys(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    ballot = judge(message)

    def sealed(
        key: SeedSigner, until: int = 60_000, genesis: str = world.genesis.digest, author: str = "beimen"
    ) -> bytes:
        return sign_acts(key, genesis, author, world.at + until, [ballot])

    beimen, cigu = world.acting["beimen"], world.acting["cigu"]
    assert with_acts(world, message, swapped("beimen", sealed(beimen))).ok
    cases = [
        (sealed(cigu), "An act of beimen is not signed with its act key of epoch 1."),
        (sealed(signer(world.origin, "beimen", "root")), "An act of beimen is not signed with its act key"),
        (sealed(world.finality["beimen"]), "An act of beimen is not signed with its act key"),
        (sealed(SeedSigner.generate()), "An act of beimen is not signed with its act key"),
        (sealed(beimen, until=HOUR + 1), "was not valid when it counted"),
        (sealed(beimen, until=-2 * HOUR), "was not valid when it counted"),
        (sealed(beimen, genesis="00" * 32), "An envelope of beimen is for another network"),
        (sealed(cigu, author="cigu"), "lacks the signed act"),
    ]
    for data, sentence in cases:
        result = with_acts(world, message, swapped("beimen", data))
        assert not result.ok
        assert sentence in result.lines[-1].text


def test_signatures_and_digests_of_acts_are_recomputed(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    other = judge("11" * 32)

    def each(change: Callable[[ShownAct], ShownAct]) -> Report:
        return with_acts(world, message, lambda acts: [change(acts[0]), *acts[1:]])

    cases = [
        (each(lambda act: replace(act, signature="00" * 64)), "The signature of"),
        (each(lambda act: replace(act, key=world.acting["danei"].public_key)), "The signature of"),
        (each(lambda act: replace(act, key="00" * 32)), "The signature of"),
        (each(lambda act: replace(act, key="ff" * 32)), "The signature of"),
        (each(lambda act: replace(act, act=Raw(encode(other)))), "is not one that"),
        (each(lambda act: replace(act, others=["00" * 32])), "is not one that"),
        (each(lambda act: replace(act, index=1)), "is not one that"),
        (each(lambda act: replace(act, header=Raw(bytes(act.header).replace(b'"v":1', b'"v":2')))), "another version"),
        (each(lambda act: replace(act, act=Raw(b" " + bytes(act.act)))), "is not canonical"),
        (each(lambda act: replace(act, act=Raw(b"[" * 900 + b"]" * 900))), "cannot be read"),
        (with_acts(world, message, lambda acts: acts[::-1]), "The acts are not sorted"),
        (with_acts(world, message, lambda acts: [*acts, acts[-1]]), "or one stands twice"),
        (with_acts(world, message, lambda acts: acts[1:]), "lacks the signed act"),
    ]
    for result, sentence in cases:
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_what_a_member_signed_out_of_form_does_not_count(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    key = world.acting["beimen"]
    true = shown(sign_acts(key, world.genesis.digest, "beimen", world.at + 60_000, [judge(message)]))
    kind = b"application/vnd.tocsin.acts+json"
    for payload in (
        bytes(true.header).replace(b'"v":1,', b'"v": 1,'),
        bytes(true.header).replace(b'"v":1,', b'"v":1,"v":1,'),
        bytes(true.header).replace(b'"acts":1', b'"acts":1.0'),
    ):
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        act = replace(true, header=Raw(payload), signature=key.sign(signed).hex())
        result = with_acts(
            world, message, lambda acts, act=act: [act if by_author(one, "beimen") else one for one in acts]
        )  # type: ignore[misc]
        assert not result.ok
        assert "is not canonical" in result.lines[-1].text or "cannot be read" in result.lines[-1].text


def test_a_header_that_counts_its_acts_wrong_does_not_count(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    key = world.acting["beimen"]
    draft = unsigned(world.genesis.digest, "beimen", world.at + 60_000, [judge(message)])
    payload = draft.payload.replace(b'"acts":1', b'"acts":2')
    kind = b"application/vnd.tocsin.acts+json"
    signature = key.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    act = ShownAct(Raw(payload), key.public_key, signature.hex(), 0, Raw(draft.acts[0]), [])
    result = with_acts(world, message, lambda acts: [act if by_author(one, "beimen") else one for one in acts])
    assert "is not one that beimen signed in the envelope shown for it" in result.lines[-1].text


def test_another_sort_of_act_is_no_ballot(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    data = sign_acts(world.acting["beimen"], world.genesis.digest, "beimen", world.at, [Concur(message)])
    read = decode(data)
    assert isinstance(read, Envelope)
    place = place_of(world, Final, message)
    record = world.decoded[place]
    assert isinstance(record, Final)
    lie = [replace(one, act=read.act_digests[0]) if one.member == "beimen" else one for one in record.ballots]
    result = checked(world, message, {place: replace(record, ballots=lie)}, acts=swapped("beimen", data))
    assert "is not of the sort that the log says it is" in result.lines[-1].text


def test_proofs_of_possession_are_recomputed() -> None:
    """Members that took a motion without checking its proofs."""
    world = World()
    keys = keys_of(world.origin, "houbi")
    held = [signer(world.origin, "houbi", role) for role in ("root", "act", "finality")]
    good = prove_possession(held, world.genesis.digest, "houbi", keys, world.at + HOUR)
    for proofs in (good, [good[0], good[2], good[1]], [*good[:2], "00" * 64]):
        world = World()
        world.believing = True
        terms = AdmitMotion("houbi", "test:houbi", ["reporter", "voter"], keys, world.at + HOUR, proofs)
        message = world.submit("annan", Submit("motion.admit", None, None, terms, None))
        world.block(("beimen", judge(message)), ("cigu", judge(message)))
        result = world.verify(message)
        assert result.ok == (proofs == good)
        assert result.ok or "A proof of possession of a key of houbi does not hold." in result.lines[-1].text


def test_only_issuers_issue(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    place = world.roster(1)
    leaf = world.decoded[place]
    assert isinstance(leaf, RosterLeaf)
    roster = replace(leaf, members=[replace(leaf.members[0], roles=["voter"]), *leaf.members[1:]])
    result = checked(world, message, {place: roster}, policy_of_roster(world.genesis, roster))
    assert "annan may not issue report.cluster.dengue under this rule." in result.lines[-1].text


def test_concurrences_and_receipts_are_signed_with_keys_of_their_time(worlds: dict[str, tuple[World, str]]) -> None:
    for name, author, acts in (
        ("supervised", "health", [Concur(worlds["supervised"][1])]),
        ("vetoed", "health", [VetoAct(worlds["vetoed"][1], worlds["vetoed"][0].decoded[-2].code, None)]),  # type: ignore[union-attr]
        ("ordered", "beimen", [Acknowledge(worlds["ordered"][1], "done", None)]),
    ):
        world, message = worlds[name]
        for key, until, sentence in (
            (world.acting[author], 60_000, ""),
            (world.acting["danei"], 60_000, f"An act of {author} is not signed with its act key of the time."),
            (world.acting[author], 2 * HOUR, "was not valid when it counted"),
        ):
            data = sign_acts(key, world.genesis.digest, author, world.at + until, acts)
            result = with_acts(world, message, swapped(author, data))
            assert result.ok == (not sentence), result.lines[-1].text
            assert sentence in result.lines[-1].text


def test_acts_that_have_no_part_are_refused(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    data = sign_acts(
        world.acting["danei"], world.genesis.digest, "danei", world.at + 1, [Annotate(message, "object", None)]
    )
    result = with_acts(world, message, swapped("danei", data))
    assert "has no part in this record and was not checked" in result.lines[-1].text


def test_a_veto_or_concurrence_that_is_not_shown_is_said_to_be_so(worlds: dict[str, tuple[World, str]]) -> None:
    for name in ("vetoed", "supervised"):
        world, message = worlds[name]
        result = with_acts(world, message, lambda acts: [one for one in acts if not by_author(one, "health")])
        assert result.ok
        assert any("the signed act is not in this file" in line.text for line in result.lines)


# Checkpoints and policies.


def test_finality_needs_the_quorum_of_the_policys_keys() -> None:
    world = World()
    world.silent = {"annan"}
    message = world.recorded()
    assert "4 of 5, 3 self-held." in [line.text for line in world.verify(message).lines]
    world.silent = {"annan", "beimen"}
    message = world.recorded("cigu")
    result = world.verify(message)
    assert "Only 3 of 5 finality keys signed the checkpoint of" in result.lines[-1].text
    assert "4 are needed: it is not final." in result.lines[-1].text


def test_small_networks_tolerate_no_liar() -> None:
    charter: Charter = charters.for_network("paper", 2, 1)[0]
    world = World(people={name: PEOPLE[name] for name in ("annan", "beimen", "health")}, charter=charter)
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)))
    result = world.verify(message)
    assert result.ok
    assert any("tolerates no liar" in line.text for line in result.lines)


def test_other_policies_are_refused(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    data, policy = world.dossier(message), world.policy()
    one, other = policy.roster[0], policy.roster[1]
    swap = [replace(one, finality=other.finality), replace(other, finality=one.finality), *policy.roster[2:]]
    cases: list[tuple[Policy, str]] = [
        (replace(policy, genesis="00" * 32), "The dossier is of the network with genesis"),
        (replace(policy, origin="health.example/tw/other"), "The checkpoint is of the log health.example/tw/tainan"),
        (replace(policy, log_key=other.finality), "is no key that counts here"),
        (replace(policy, roster=policy.roster[1:]), "is not the one trusted or handed over to"),
        (replace(policy, roster=swap), "is not the one trusted or handed over to"),
        (replace(policy, roster=[replace(one, custody="operator"), *policy.roster[1:]]), "is not the one trusted"),
        (replace(policy, roster=[replace(one, active=False), *policy.roster[1:]]), "is not the one trusted"),
        (replace(policy, epoch=2), "The policy is of epoch 2, newer than the dossier's"),
        (World("health.example/tw/else").policy(), "The dossier is of the network with genesis"),
    ]
    for wrong, sentence in cases:
        result = verify(data, wrong)
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_signature_lines_of_other_kinds_of_keys_do_not_count(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    dossier = build_dossier(world, message)
    size = len(world.leaves)
    head = Checkpoint(world.origin, size, world.root(size))
    log = sign_checkpoint(world.log, head)
    acting = [cosign_checkpoint(world.acting[one], one, head, 1) for one in sorted(world.acting)]
    final = [cosign_checkpoint(world.finality[one], one, head, 1) for one in sorted(world.finality)]
    borrowed = [cosign_checkpoint(world.finality["annan"], one, head, 1) for one in sorted(world.finality)]
    bad = [final[0]._replace(value=final[0].value[:-1] + b"\0"), *final[1:]]
    cases: list[tuple[list[Signature], str]] = [
        ([log, *acting], "no key that counts here"),
        ([log, *borrowed], "no key that counts here"),
        (final, "does not begin with the signature of the log"),
        ([log, log, *final], "or one stands twice"),
        ([log, final[1], final[0], *final[2:]], "not sorted by name"),
        ([log, *bad], "does not verify"),
        ([log._replace(value=bytes(64)), *final], "The log's signature on the checkpoint does not hold."),
        ([log, *final[:3]], "4 are needed"),
    ]
    for lines, sentence in cases:
        changed = replace(dossier, checkpoint=note.format(checkpoint.format(head), lines).decode())
        result = verify(encode_dossier(changed), world.policy())
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_a_forged_handover_is_found_out() -> None:
    world, made = history_of_epochs()
    dossier = build_dossier(world, made[-1])

    def handover(number: int, **changes: Any) -> Dossier:
        changed = replace(dossier.handovers[number], **changes)
        return replace(dossier, handovers=[*dossier.handovers[:number], changed, *dossier.handovers[number + 1 :]])

    first, second = dossier.handovers[:2]
    cases = [
        (replace(dossier, handovers=dossier.handovers[:-1]), "does not lead from the policy's epoch 1 to epoch 4"),
        (replace(dossier, handovers=dossier.handovers[1:]), "The dossier starts at epoch 2"),
        (replace(dossier, handovers=[first, first, second]), "is not a roster of epoch 3"),
        (replace(dossier, extends=dossier.extends[1:]), "is not shown to extend"),
        (replace(dossier, extends=dossier.extends[::-1]), "not sorted by size"),
        (
            replace(dossier, extends=[replace(dossier.extends[0], root="00" * 32), *dossier.extends[1:]]),
            "does not extend",
        ),
        (handover(0, checkpoint=second.checkpoint), "is not proven by the last checkpoint under that epoch"),
        (handover(0, index=first.index + 1), "is not proven by the last checkpoint under that epoch"),
        (handover(1, proof=second.proof[:-1]), "is not proven by the last checkpoint under that epoch"),
        (handover(1, roster=Raw(bytes(second.roster).replace(b'"operator"', b'"self"'))), "is not proven by"),
        (handover(1, roster=Raw(b"{}")), "cannot be read"),
    ]
    for changed, sentence in cases:
        result = verify(encode_dossier(changed), world.policy())
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_retired_keys_cannot_write_another_past() -> None:
    """The keys of epoch 1, stolen, sign another history; who pins a later roster does not believe it."""
    true, _ = history_of_epochs()
    rosters = [leaf for leaf in true.decoded if isinstance(leaf, RosterLeaf)]
    false = World()
    message = false.recorded()
    for member in ("annan", "beimen", "cigu"):
        rotated(false, member, "finality", "stolen")
    false.block(("annan", Annotate(message, "update", None)))
    data = false.dossier(message)
    assert verify(data, false.policy()).ok
    for roster in rosters[1:]:
        result = verify(data, policy_of_roster(true.genesis, roster))
        assert not result.ok
        assert "is not the one trusted or handed over to" in result.lines[-1].text
    pin = Pin(true.roster(2) + 2, true.root(true.roster(2) + 2).hex())
    pinned_result = verify(false.dossier(message, pins=[pin]), true.policy(pin))
    assert "does not extend the one of" in pinned_result.lines[-1].text


def test_an_old_epoch_hands_over_at_one_size_only() -> None:
    """A later checkpoint under the old keys cannot vouch for the roster that took over from them."""
    world = World()
    message = world.recorded()
    old = dict(world.finality)
    rotated(world, "annan", "finality")
    world.block(("annan", Annotate(message, "update", None)))
    dossier = build_dossier(world, message)
    assert verify(encode_dossier(dossier), world.policy()).ok
    (handover,), size = dossier.handovers, len(world.leaves)
    newest = world.notes[size]
    world.sign(world.log, old, world.at // 1000)
    late = world.notes[size].decode()
    world.notes[size] = newest
    proof = [one.hex() for one in world.inclusion(handover.index, size)]
    changed = replace(dossier, handovers=[replace(handover, checkpoint=late, proof=proof)], extends=[])
    result = verify(encode_dossier(changed), world.policy())
    assert "is not proven by the last checkpoint under that epoch" in result.lines[-1].text


def test_leaves_and_proofs_must_fit_the_checkpoint(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    dossier = build_dossier(world, message)
    first, second = dossier.leaves[:2]

    def leaves(*changed: ShownLeaf) -> Report:
        return verify(encode_dossier(replace(dossier, leaves=[*changed, *dossier.leaves[2:]])), world.policy())

    cases = [
        (leaves(replace(first, proof=second.proof), second), "Leaf 0 is not in the checkpoint's log"),
        (leaves(first, replace(second, leaf=first.leaf)), "Leaf 1 is not in the checkpoint's log"),
        (leaves(first, replace(second, proof=[])), "Leaf 1 is not in the checkpoint's log"),
        (leaves(first, replace(second, index=10**9)), "not sorted by index"),
        (leaves(second, first), "not sorted by index"),
        (leaves(first), "lacks the charter"),
    ]
    for result, sentence in cases:
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_epochs_of_a_log_only_grow() -> None:
    world, made = history_of_epochs()
    last = world.decoded[world.roster(4)]
    assert isinstance(last, RosterLeaf)
    place = world.roster(3)
    log = forged(world, {place: replace(world.decoded[place], epoch=1)})
    dossier = build_dossier(world, made[0], epoch=4)
    shown = [
        ShownLeaf(index, Raw(log.leaves[index]), [one.hex() for one in log.inclusion(index, len(log.leaves))])
        for index in sorted({place, *(leaf.index for leaf in dossier.leaves)})
    ]
    changed = replace(dossier, checkpoint=log.checkpoint().decode(), leaves=shown)
    result = verify(encode_dossier(changed), policy_of_roster(world.genesis, last))
    assert "The roster of epoch 1 is out of order." in result.lines[-1].text


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize(("name", "sentence"), [("annan", "annan signed an act"), ("beimen", "beimen signed an act")])
def test_who_was_no_active_member_signed_nothing(
    name: str, sentence: str, gone: bool, worlds: dict[str, tuple[World, str]]
) -> None:
    """A roster without the member, or with it suspended, and a policy that trusts that very roster."""
    world, message = worlds["moved"]
    place = world.roster(1)
    leaf = world.decoded[place]
    assert isinstance(leaf, RosterLeaf)
    members = [replace(one, status="suspended") if one.id == name else one for one in leaf.members]
    roster = replace(leaf, members=[one for one in members if not gone or one.id != name])
    final, opened = place_of(world, Final, message), place_of(world, Opened, message)
    electors = [one for one in PEOPLE if one != name]
    changes = {
        index: replace(world.decoded[index], electorate=electors, size=len(electors)) for index in (final, opened)
    }
    world.finality, held = {one: world.finality[one] for one in electors}, world.finality
    try:
        result = checked(world, message, changes | {place: roster}, policy_of_roster(world.genesis, roster))
    finally:
        world.finality = held
    assert not result.ok
    wanted = sentence if name == "annan" else "judged without being an elector"
    assert wanted in result.lines[-1].text, result.lines[-1].text


def test_a_hostile_file_takes_no_time() -> None:
    """As many rosters and handovers as fit in, in a log of the attacker's own, refused in a moment."""
    world = World()
    dossier = build_dossier(world, world.recorded())
    log = Log(world.genesis)
    many = [RosterLeaf(epoch, 0, []) for epoch in range(1, 4096)]
    log.decoded = [world.decoded[0], *many, world.decoded[-1]]
    log.leaves = [encode(leaf) for leaf in log.decoded]
    log.hashes = [merkle.leaf_hash(leaf) for leaf in log.leaves]
    log.sign(SeedSigner.generate(), {}, 0)
    shown = [
        ShownLeaf(index, Raw(leaf), [one.hex() for one in log.inclusion(index, len(log.leaves))])
        for index, leaf in enumerate(log.leaves[:3000])
    ]
    handover = Handover(log.checkpoint().decode(), 1, Raw(log.leaves[1]), [])
    hostile = replace(dossier, checkpoint=log.checkpoint().decode(), leaves=shown, handovers=[handover] * 1024)
    data = encode_dossier(hostile)
    started = monotonic()
    assert not verify(data, world.policy()).ok
    assert monotonic() - started < 5
