"""Rules that neither transcripts nor seeded histories meet: each a small scenario that ends as the law says.

Written where a mutant of the kernel survived all other quick tests.
"""

from typing import NamedTuple

import pytest
from msgspec.structs import replace

from tests.transcripts.play import Player
from tocsin.kernel import acts
from tocsin.kernel.genesis import GenesisError
from tocsin.kernel.leaves import EvidenceLeaf
from tocsin.kernel.reasons import Reason

PAPER = """
network P charter=paper {changes}
members A,B,C,D,E: reporter voter; S: supervisor; U: auditor
found
at 1h
"""
OPEN = PAPER + "A submit report.fever as m\nblock\n"
ENDORSED = OPEN + "B,C,D endorse m\nblock\n"
RECORDED = ENDORSED + "S concur m\nblock\n"
LED = RECORDED + "A lead I(m) as l\nA stage I(m) watch -> response as s\nblock\nB,C,D endorse l; endorse s\nblock\n"


class Scene(NamedTuple):
    clause: str
    text: str
    changes: str = ""


SCENES = {
    "a ballot in the block of the opening counts": Scene("4.2", PAPER + """
        A submit report.fever as m
        B,C,D endorse m
        block
        expect m endorsed
        expect m counted True
    """),
    "a lead that leaves leads no more": Scene("F13", LED + """
        expect I(m) lead A
        A leave
        block
        expect I(m) lead none
        expect I(m) lead_until none
    """),
    "a lead that is suspended leads no more": Scene("F13", LED + """
        B suspend A 1d as x
        block
        C,D,E endorse x
        block
        expect A status suspended
        expect I(m) lead none
    """),
    "a window runs to its end where all who may veto are suspended and none concurred": Scene("F7", ENDORSED + """
        A suspend S 1d as x
        block
        B,C endorse x
        block
        expect S status suspended
        E endorse m
        block
        expect m endorsed
        run to 3h
        expect m recorded
    """),
    "who is suspended in this block is no candidate any more": Scene("8.2", RECORDED + """
        A evidence P size=4 lines=1
        A lead I(m) refused BASE_DOES_NOT_HOLD
        B lead I(m)
        block
        expect A status suspended
    """, "times.evidence_s=86400"),
    "a mover outside the electorate has no ballot": Scene("6.3", RECORDED + """
        S stage I(m) watch -> response as s
        block
        expect s ballots {}
        A endorse s
        B endorse s
        block
        expect s open
        C endorse s
        block
        expect s recorded
    """, 'motion.stage@*.electorate=["voter"]'),
    "a rule may open no incident": Scene("6.1", RECORDED + """
        expect m incident none
        expect I(m) missing
        U find m upheld field
        block
        expect A credits 3
    """, "report.*@*.opens_incident=false"),
    "an incident may be keyed without the category": Scene("8.1", RECORDED + """
        B submit report.fever cat=1E70 as n
        B submit report.fever cat=1E70 area=TW-KHH as k
        block
        A,C,D endorse n; endorse k
        block
        S concur n; concur k
        block
        expect n incident I(m)
        expect k incident I(k)
    """, "incident_key.category=false incident_key.areas=true"),
    "a ballot in the block in which the notice ends is in time": Scene("F15", OPEN + """
        B,C,D endorse m
        block
        expect m open
        at 2h
        E endorse m
        block
        expect m endorsed
        S concur m
        block
        U find m upheld field
        block
        expect E credits 1
    """, "report.*@*.notice_s=3600"),
    "a supervisor that is suspended is not waited for": Scene("F7", ENDORSED.replace("S:", "S,T:") + """
        S concur m
        A suspend T 1d as x
        block
        B,C,D endorse x
        block
        expect T status suspended
        expect m endorsed
        E endorse m
        block
        expect m recorded
    """),
    "who acts is awake, and silence is measured to the moment": Scene("F16", OPEN + """
        B endorse m
        block
        run to 1d1h
        expect m lapsed
        A suspend B 1d as x
        E suspend B 2d as y
        block
        expect x electorate A,S
        expect y electorate A,E,S
    """, 'dormant={"silent_s":90000,"missed":1}'),
    "a token that comes back to a full bucket is lost": Scene("F20", OPEN + """
        run to 8d
        B,C,D endorse m
        block
        S concur m
        block
        expect m recorded
        expect A tokens 4
    """, "report.*@*.window_s=864000"),
    "who found does not judge the review": Scene("6.5", RECORDED.replace("A,B,C,D,E:", "A,B,C,D,E,F,G:") + """
        F find m refuted field as f
        block
        B review m upheld field of=f as r
        block
        expect m finding_by F
        expect r electorate E,G
    """, 'finding@*.issuers=["voter"] report.*@*.threshold.num=0 report.*@*.threshold.strict=false '
         "report.*@*.threshold.at_least=3"),
    "a lead is no issuer of what leads do not issue": Scene("6", RECORDED + """
        S lead I(m) as l
        block
        A,B,C endorse l
        block
        expect I(m) lead S
        S submit report.fever on I(m) refused NOT_AN_ISSUER
        B review NOBODY upheld field of=NOBODY refused NOT_AN_ISSUER
        block
    """),
    "a motion to vacate outlives its mover": Scene("F13", LED + """
        B lead I(m) vacate as v
        C suspend B 1d as x
        block
        A,D,E endorse x
        block
        expect B status suspended
        C,D,E endorse v
        block
        expect v recorded
        expect I(m) lead none
    """),
    "without codes in the charter any code will do for a veto": Scene("6.5", OPEN + """
        S veto m code-of-ours
        block
        expect m vetoed
    """, 'codes.veto=[] codes.cannot=[]'),
    "a late endorser brings no token back": Scene("F20", PAPER + """
        A submit report.fever as m
        block
        B endorse m
        block
        expect m endorsed
        C endorse m
        block
        S veto m
        block
        expect A tokens 3
    """, "report.*@*.threshold.num=0 report.*@*.threshold.strict=false report.*@*.threshold.at_least=1"),
    "a token comes back on top of what the weeks brought": Scene("F20", PAPER + """
        A submit report.fever new as m
        A submit report.fever new as n
        block
        expect A tokens 2
        run to 8d
        A submit report.fever new as k
        block
        expect A tokens 2
        run to 16d
        B,C,D endorse k
        block
        S concur k
        block
        expect k recorded
        expect A tokens 4
    """, "report.*@*.window_s=864000"),
    "a refused report leaves the bucket as it is": Scene("5", PAPER + """
        A submit report.fever as m
        block
        run to 8d
        A suspend D 1d
        block
        A submit report.fever as n refused TOO_MANY_OPEN
        block
        expect A tokens 3
        expect A tokens_at 1772442000000
    """, "limits.open_messages=1"),
    "a limit of none is no limit": Scene("F21", PAPER + """
        A submit report.fever new
        A submit report.fever new
        block
        expect A open 2
    """, "limits.reports_week=0"),
    "anybody may attest an erasure, and only of what there is": Scene("12", OPEN + """
        B erase m refused NOT_THE_AUTHOR
        B erased-here m
        S erase m
        A erase m
        B erased-here NOBODY refused UNKNOWN_MESSAGE
        A say update NOBODY refused UNKNOWN_MESSAGE
        block
    """),
    "an order may run for thirty days, and not a moment longer": Scene("F19", LED + """
        A order order.isolate on I(m) to B due=1d expires=30d1h as o
        A order order.isolate on I(m) to B due=1d expires=30d1h1ms refused BAD_TIMES
        block
        expect o recorded
    """),
}  # fmt: skip


def go(player: Player, text: str) -> Player:
    """Play the lines."""
    for line in text.replace("NOBODY", "0" * 64).splitlines():
        if line.strip():
            list(player.line(line.strip()))
    return player


@pytest.mark.parametrize("name", SCENES)
def test_scene(name: str) -> None:
    _, text, changes = SCENES[name]
    player = go(Player(), text.replace("{changes}", changes))
    assert not any(player.waiting.values()), "acts wait for a block that is never made"


def test_an_envelope_under_the_root_key_rotates_and_nothing_else() -> None:
    """Not even beside a rotation (spec 3.1)."""
    player = go(Player(), PAPER.replace("{changes}", ""))
    network = player.network
    player.verbs.author = "a"
    rotation = player.verbs.parse("a", "rotate act").act
    root = network.keyring("a").signer("root")
    for also in ([acts.Present(0)], [acts.Leave()]):
        for mixed in ([rotation, *also], [*also, rotation]):
            envelope = network.sign("a", mixed, player.now, key=root)
            assert network.apply(player.now, [envelope]).dropped == [(0, Reason.ROOT_KEY_ONLY_ROTATES)]


def test_what_a_peer_sent_is_nobody_s_own_here() -> None:
    """No member can be called like a network, whose origin has a dot or a slash (spec 1.1); nor is it the author (spec 5)."""
    player = go(Player(), """
        network N1 charter=figure-4
        members A,B: reporter voter; R: supervisor relay
        network N2 charter=paper
        members R: voter relay; T,V,W: voter; S: supervisor
    """)
    player.networks["N1"].origin = "t"
    with pytest.raises(GenesisError, match="origin"):
        go(player, "found")
    player = go(Player(), """
        network N1 charter=figure-4
        members A,B: reporter voter; R: supervisor relay
        network N2 charter=paper
        members R: voter relay; T,V,W: voter; S: supervisor
        found
        quietly link N1 under N2, represented by R, min_endorsers=1
        in N1
        at 1h
        A submit report.fever as m
        block
        B endorse m
        block
        R concur m
        block
        in N2
        R relay N1
        block
    """)
    (name,) = player.network.state.messages
    go(player, f"""
        T withdraw {name} refused NOT_THE_AUTHOR
        T say retract {name} refused NOT_THE_AUTHOR
        T erase {name} refused NOT_THE_AUTHOR
        block
        expect {name} open
    """)


def test_what_a_removed_peer_sent_can_still_be_found_on() -> None:
    """Nobody stands for its author any more, so nobody takes that credit (spec F18)."""
    go(Player(), """
        network N1 charter=figure-4
        members A,B: reporter voter; R: supervisor relay
        network N2 charter=paper
        members R: voter relay; T,V,W: voter; S: supervisor; U: auditor
        found
        quietly link N1 under N2, represented by R, min_endorsers=1
        in N1
        at 1h
        A submit report.fever as m
        block
        B endorse m
        block
        R concur m
        block
        in N2
        R relay N1
        block
        T,V endorse m@N2
        block
        S concur m@N2
        block
        expect m@N2 recorded
        T peer remove N1 as p
        block
        R,V,W endorse p
        block
        U find m@N2 upheld field
        block
        expect R credits 0
        expect T credits 1
    """)


LEVELS = """
network N1 charter=figure-4 times.retry_s=86400
members A,B: reporter voter; R: supervisor relay
network N2 charter=paper
members R: voter relay; T,V,W: voter; S: supervisor; U: auditor
found
"""
UNDER = "quietly link N1 under N2, represented by R, min_endorsers=1\n"
RECORD = "{author} submit report.fever{more} as {name}\nblock\n{other} endorse {name}\nblock\nR concur {name}\nblock\n"
FIRST = "in N1\nat 1h\n" + RECORD.format(author="A", other="B", name="m", more="")
AGAIN = RECORD.format(author="B", other="A", name="n", more=" on I(m)")
AND_AGAIN = RECORD.format(author="B", other="A", name="k", more=" on I(m)")
LEVEL_SCENES = {
    "an incident older than its parent goes up with its next report": Scene("11", FIRST + UNDER + """
        in N1
        expect m went nobody
    """ + AGAIN + """
        expect n went N2#1
    """),
    "what was recorded above does not go up again": Scene("11", UNDER + FIRST + """
        in N2
        R relay N1
        block
        T,V endorse m@N2
        block
        S concur m@N2
        block
        expect m@N2 recorded
        in N1
        A relay N2
        block
        expect m outcome recorded
        at 3d
    """ + AGAIN + """
        expect n went nobody
    """),
    "what was not recorded above goes up again when `retry` has passed": Scene("11", UNDER + FIRST + """
        in N2
        R relay N1
        block
        S veto m@N2
        block
        in N1
        A relay N2
        block
        expect m outcome vetoed
        at 1d59m59s999ms
    """ + AGAIN + """
        expect n went nobody
        at 1d1h
    """ + AND_AGAIN + """
        expect k went N2#2
    """),
    "only what is recorded is shared": Scene("11", UNDER + """
        in N2
        at 1h
        R share NOBODY to N1 refused UNKNOWN_MESSAGE
        T suspend V 1d as x
        block
        T withdraw x
        block
        R share x to N1 refused NOT_FINAL
        block
    """),
    "a revocation does not follow its order to a peer that was removed": Scene("11", UNDER + FIRST + """
        in N2
        R relay N1
        block
        T,V endorse m@N2
        block
        S concur m@N2
        block
        T lead I(m@N2) as l
        T stage I(m@N2) watch -> response as s
        block
        R,V,W endorse l; endorse s
        block
        T order order.isolate on I(m@N2) to R due=1d expires=2d as o
        block
        expect o went N1#2
        V peer remove N1 as p
        block
        R,T,W endorse p
        block
        T revoke o on I(m@N2) as r
        block
        expect r recorded
        expect r went nobody
    """),
}


@pytest.mark.parametrize("name", LEVEL_SCENES)
def test_scene_of_two_levels(name: str) -> None:
    player = go(Player(), LEVELS + LEVEL_SCENES[name].text)
    assert not any(player.waiting.values()), "acts wait for a block that is never made"


def test_a_peer_whose_reports_could_never_pass_is_not_taken() -> None:
    """With its representative left out, nobody but T could judge what it sends, and two are needed (spec F23)."""
    go(Player(), """
        network N1 charter=figure-4
        members A: voter
        network N2 charter=paper
        members R: voter relay; T: voter; S: supervisor
        found
        in N2
        at 1h
        R peer add N1 relation=child by=R as p
        block
        T,S endorse p
        block
        expect p void
    """)


def test_one_used_key_among_new_ones_is_a_used_key() -> None:
    """All keys of a network are distinct, for ever (spec 1.3). Roles are written sorted (spec 5)."""
    player = go(Player(), PAPER.replace("{changes}", ""))
    network = player.network
    player.verbs.author = "a"
    submit = player.verbs.parse("a", "admit G reporter voter").act
    assert isinstance(submit, acts.Submit)
    assert isinstance(submit.terms, acts.AdmitMotion)
    other = network.keyring("b").keys()
    for role in ("root", "act", "finality"):
        keys = replace(submit.terms.keys, **{role: getattr(other, role)})
        wrong = network.sign("a", [replace(submit, terms=replace(submit.terms, keys=keys))], player.now)
        assert network.apply(player.now, [wrong]).receipts == [[Reason.KEY_USED]]
    unsorted = network.sign("a", [replace(submit, terms=replace(submit.terms, roles=["voter", "reporter"]))], player.now)
    assert network.apply(player.now, [unsorted]).receipts == [[Reason.NOT_SORTED]]


def test_two_thirds_of_the_signers_are_not_enough_for_an_upgrade() -> None:
    """More than two thirds, so that those who can go on make a quorum (spec 8.5)."""
    player = go(Player(), """
        network P charter=paper
        members A,B,C: reporter voter
        found
        at 1h
        A upgrade 2 as u
        block
        B,C endorse u
        block
        A,B ready 2
        block
    """)
    assert player.network.state.meta.protocol == 1
    go(player, "C ready 2\nblock")
    assert player.network.state.meta.protocol == 2


def test_a_roster_step_ends_with_a_roster() -> None:
    """The last leaf but one of its checkpoint, and that leaf is a roster (spec 11.4)."""
    player = go(Player(), LEVELS + UNDER + FIRST)
    source, here = player.networks["N1"], player.networks["N2"]
    act = source.relay_to(here, player.now)
    last = source.relayed(len(source.log) - 2, len(source.log))
    assert not last.leaf.startswith('{"leaf":"roster"')
    wrong = here.sign("r", [replace(act, roster=last, leaves=[])], player.now)
    assert here.apply(player.now, [wrong]).receipts == [[Reason.BAD_ROSTER]]


def test_a_roster_is_taken_under_its_own_checkpoint_only() -> None:
    """Under a later one it might not be the last: who signs that checkpoint must be known first (spec 11.4)."""
    player = go(Player(), LEVELS + UNDER + FIRST + "B leave\nblock\nA present 0\nblock\n")
    source, here = player.networks["N1"], player.networks["N2"]
    (step,) = source.steps
    act = source.relay_to(here, player.now, stay=True)
    late = replace(act, leaves=[], roster=source.relayed(step.index, len(source.log)))
    for one, reason in ((late, Reason.BAD_ROSTER), (source.relay_to(here, player.now), Reason.ACCEPTED)):
        assert here.apply(player.now, [here.sign("r", [one], player.now)]).receipts == [[reason]]


def test_evidence_names_those_it_proves_against_and_nobody_else() -> None:
    """Of three members two signed both checkpoints (spec 11.4)."""
    player = go(Player(), LEVELS + UNDER + FIRST + "in N2\nT evidence N1 lines=2\n")
    (leaf,) = [one for one in player.network.block(player.now).leaves if isinstance(one, EvidenceLeaf)]
    assert leaf.members == ["a", "b"]
