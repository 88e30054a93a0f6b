"""Rules that neither transcripts nor seeded histories meet: each a small scenario that ends as the law says.

Written where a mutant of the kernel survived all other quick tests.
"""

from typing import NamedTuple

import pytest

from tests.transcripts.play import Player
from tocsin.kernel import acts
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


def test_a_peer_named_like_a_member_is_not_that_member() -> None:
    """What a peer sent is nobody's own here, whatever the peer is called (spec 5)."""
    player = go(Player(), """
        network N1 charter=figure-4
        members A,B: reporter voter; R: supervisor relay
        network N2 charter=paper
        members R: voter relay; T,V,W: voter; S: supervisor
    """)
    player.networks["N1"].origin = "t"
    go(player, """
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
