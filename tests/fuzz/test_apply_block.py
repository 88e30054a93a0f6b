"""Random well-formed acts of every sort against a network that lives: no block raises, and what holds goes on."""

from random import Random

import pytest
from hypothesis import given

from tests.fuzz.dice import chances, fuzz, one_of, percent
from tests.fuzz.forms import Forms, fits
from tests.fuzz.living import DAY, PEERS, PEOPLE, Foreign, Living, grown
from tocsin.kernel import acts as wire
from tocsin.kernel import leaves as log
from tocsin.kernel.envelope import Envelope, encode

CHARTERS = ("paper", "pilot")
SENT = (log.Opened, log.Recorded, log.Annotated, log.FindingLeaf, log.OrderReceipts, log.Relayed, log.Vetoed)
"""Leaves that travel (spec 11)."""


def blocks(chance: Random, living: Living) -> None:
    for _ in range(chance.randrange(1, 4)):
        envelopes: list[Envelope] = []
        for _ in range(chance.randrange(1, 4)):
            forms = Forms(chance, living.pools())
            acts = [forms.value(wire.Act) for _ in range(one_of(chance, (1, 1, 2, 5)))]
            author = one_of(chance, [*PEOPLE, "stranger"])
            envelope = living.envelope(author, acts, one_of(chance, (600_000, 600_000, 0, 4_000_000)))
            if envelope is not None:
                envelopes.append(envelope)
        if envelopes and percent(chance, 5):
            envelopes.append(envelopes[0])
        living.block(envelopes, one_of(chance, (0, 1, 60_000, 3_600_000, DAY, 61 * DAY)), chance)


@pytest.mark.parametrize("charter", CHARTERS)
@fuzz(60)
@given(chance=chances)
def test_any_acts(charter: str, chance: Random) -> None:
    blocks(chance, grown(charter))


@pytest.mark.parametrize("kind", wire.Act.__args__, ids=lambda one: one.__name__)
@fuzz(12)
@given(chance=chances)
def test_each_act(kind: type[wire.Act], chance: Random) -> None:
    """A hundred in one block, by everybody: each stands or falls singly (spec 3.2)."""
    living = grown(one_of(chance, CHARTERS))
    envelopes = []
    for author in PEOPLE:
        forms = Forms(chance, living.pools())
        made = living.envelope(author, [forms.value(kind) for _ in range(8)])
        envelopes += [] if made is None else [made]
    outcome = living.block(envelopes, one_of(chance, (1000, DAY)), chance)
    assert len(outcome.consumed) + len(outcome.dropped) == len(envelopes)


@pytest.mark.parametrize("kind", wire.Terms.__args__, ids=lambda one: one.__name__)
@fuzz(12)
@given(chance=chances)
def test_each_sort_of_terms_under_any_kind(kind: type, chance: Random) -> None:
    living = grown(one_of(chance, CHARTERS))
    envelopes = []
    for author in PEOPLE:
        forms = Forms(chance, living.pools())
        acts = [
            wire.Submit(forms.value(wire.Kind), forms.value(wire.IncidentName | None), None, forms.value(kind), None)
            for _ in range(6)
        ]
        made = living.envelope(author, acts)
        envelopes += [] if made is None else [made]
    living.block(envelopes, 1000, chance)
    living.block([], DAY)


def test_what_the_forms_make_is_well_formed() -> None:
    """Else the fuzzers would only see refusals of the decoder."""
    living = grown("paper")
    chance = Random(1)
    for kind in wire.Act.__args__:
        assert all(fits(Forms(chance, living.pools()).value(kind), kind) for _ in range(50)), kind


@pytest.mark.parametrize("kind", SENT, ids=lambda one: one.__name__)
@pytest.mark.parametrize("origin", PEERS)
@fuzz(25)
@given(chance=chances)
def test_any_leaf_that_a_peers_quorum_signs(origin: str, kind: type[log.Leaf], chance: Random) -> None:
    """Proofs hold, and what they prove is strange."""
    living = grown(one_of(chance, CHARTERS))
    forms = Forms(chance, living.pools(), wild=True)
    leaves = []
    for number in range(1, 1 + chance.randrange(1, 4)):
        leaf = forms.value(kind)
        leaves.append(_sent(chance, living, leaf, number, number))
    act = Foreign(origin).relay(leaves)
    made = living.envelope("beimen", [act])
    if made is not None:
        living.block([made])
        living.block([], DAY)
        living.block([], 61 * DAY)


def _sent(chance: Random, living: Living, leaf: object, number: int, n: int) -> bytes:
    """A leaf addressed to us, mostly about something that we know."""
    from msgspec.structs import replace

    changes: dict[str, object] = {"to": [("here.example/h", number)]}
    if hasattr(leaf, "source") and percent(chance, 60):
        ours = one_of(chance, living.pools()["hexes"])
        source = log.Source(["a"], log.Original("b", str(n)), living.genesis.digest, ours, 1, 2)
        changes["source"] = one_of(chance, (None, source))
    if hasattr(leaf, "original"):
        ours = one_of(chance, living.pools()["hexes"])
        changes["original"] = log.Original(living.genesis.digest, ours)
    return encode(replace(leaf, **changes))  # type: ignore[type-var]


@pytest.mark.parametrize("origin", PEERS)
@fuzz(30)
@given(chance=chances)
def test_any_roster_that_a_peers_quorum_signs(origin: str, chance: Random) -> None:
    living = grown("paper")
    forms = Forms(chance, living.pools(), wild=True)
    roster = forms.value(log.RosterLeaf)
    if not percent(chance, 10):
        from msgspec.structs import replace

        roster = replace(roster, epoch=2)
    made = living.envelope("beimen", [Foreign(origin).relay([], encode(roster))])
    if made is not None:
        living.block([made])
        living.block([], DAY)
