"""A log that lies: every leaf is proven and final, every line signed, and the verifier's own arithmetic says no.

Each case changes one thing in a true log, signs the result with the members' real finality keys, and hands the
verifier a whole, canonical dossier of it.
"""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from tests.client.forging import checked, forged, in_order, place_of, shown, swapped
from tests.client.histories import history_of_epochs, reviewed
from tests.client.world import HOUR, World, judge
from tocsin.client.dossier import ShownAct, ShownLeaf, build_dossier, encode_dossier
from tocsin.client.policy import policy_of_roster
from tocsin.client.signing import sign_acts
from tocsin.client.verify import verify
from tocsin.kernel.acts import (
    Erase,
    StageMotion,
)  # fmt: skip
from tocsin.kernel.envelope import Envelope, decode
from tocsin.kernel.leaves import (
    Annotated,
    Ballot,
    BlockLeaf,
    CharterLeaf,
    Erased,
    Final,
    FindingLeaf,
    GenesisLeaf,
    Opened,
    OrderReceipts,
    Original,
    PeerLeaf,
    Relayed,
    RosterLeaf,
    Settled,
    Source,
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
    ("vetoed", Final, lambda leaf: {"vetoers": ["health"]}, "health had no veto on this message."),
    ("withdrawn", Final, lambda leaf: {"by": "beimen"}, "withdrawn by somebody else than its author"),
    ("broadcast", Final, lambda leaf: {"opened": leaf.opened - 1}, "recorded when it is put, this one was later"),
    ("supervised", Final, lambda leaf: {"code": "other"}, "A record is not ended by anybody."),
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
    ("settled", Annotated, lambda leaf: {"original": replace(leaf.original, id="00" * 32)}, "or not about this record"),
    ("reviewed", FindingLeaf, lambda leaf: {"verdict": "refuted"}, "not what it proposed"),
    ("reviewed", FindingLeaf, lambda leaf: {"target": "00" * 32}, "not what it proposed"),
    ("reviewed", Final, ballots(lambda one: one[:1]), "Only 1 endorsed"),
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
    (
        "ordered", OrderReceipts,
        lambda leaf: {"source": Source(["00" * 32], Original("00" * 32, "00" * 32), "00" * 32, "00" * 32, 1, 0)},
        "Receipts stand for what is no order.",
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
    ("silent", BlockLeaf, lambda leaf: {"protocol": 2}, "made under protocol 2, whose rules this program does not have"),
    ("relayed", Relayed, lambda leaf: {"code": 432}, "The leaf of the relay and the record made of it do not agree."),
    ("relayed", Relayed, lambda leaf: {"genesis": "00" * 32}, "not that of what the peer sent"),
    ("relayed", (*BOTH, Relayed), lambda leaf: {"source": replace(leaf.source, number=2)}, "peer that sent it"),
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


def test_lies_that_agree_with_each_other(worlds: dict[str, tuple[World, str]]) -> None:
    """Two or more leaves changed together, so that only one check stands in the way."""
    world, message = worlds["supervised"]
    final, opened = place_of(world, Final, message), place_of(world, Opened, message)
    record, opening = world.decoded[final], world.decoded[opened]
    alone = {final: replace(record, vetoers=[]), opened: replace(opening, joins="00" * 32)}
    result = checked(world, message, alone)
    assert "recorded before the veto window was over, though health" in result.lines[-1].text

    for name, later, sentence in (
        ("noticed", -61_000, "decided before its notice was over"),
        ("lapsed", -HOUR, "It ended before its deadline, though the ballots still out could have passed it."),
        ("voted", 4 * HOUR, "after its deadline of 2015-08-01 04:01:00 UTC"),
    ):
        world, message = worlds[name]
        final = place_of(world, Final, message)
        record, end = world.decoded[final], world.block_of(final)
        block = world.decoded[end]
        assert isinstance(record, Final)
        assert isinstance(block, BlockLeaf)
        moment = record.at + later
        result = checked(world, message, {final: replace(record, at=moment), end: replace(block, at=moment)})
        assert sentence in result.lines[-1].text, result.lines[-1].text

    world, message = worlds["rejected"]
    final, opened = place_of(world, Final, message), place_of(world, Opened, message)
    acts = {name: sign_acts(world.acting[name], world.genesis.digest, name, world.at, [judge(message)])
            for name in ("beimen", "cigu")}  # fmt: skip
    record = world.decoded[final]
    assert isinstance(record, Final)
    digests = {name: decode(data).act_digests[0] for name, data in acts.items()}  # type: ignore[union-attr]
    passed = [replace(one, verdict="endorse", act=digests[one.member]) for one in record.ballots]

    def endorsing(given: list[ShownAct]) -> list[ShownAct]:
        return swapped("cigu", acts["cigu"])(swapped("beimen", acts["beimen"])(given))

    result = checked(world, message, {final: replace(record, ballots=passed)}, acts=endorsing)
    assert "2 endorsed, which passes it; the log says otherwise." in result.lines[-1].text


def test_a_settlement_cannot_be_left_out() -> None:
    world, review = reviewed()
    target = next(leaf.target for leaf in world.decoded if isinstance(leaf, Settled))
    dossier = build_dossier(world, target)
    assert verify(encode_dossier(dossier), world.policy()).ok
    settlements = [index for index, leaf in enumerate(world.decoded) if isinstance(leaf, Settled)]
    for left_out, sentence in (
        (settlements[0], "passes over annan"),
        (settlements[1], "A review lacks its settlement."),
    ):
        leaves = [leaf for leaf in dossier.leaves if leaf.index != left_out]
        result = verify(encode_dossier(replace(dossier, leaves=leaves)), world.policy())
        assert sentence in result.lines[-1].text, result.lines[-1].text
    assert world.verify(review).ok


def test_what_a_peer_is_said_to_have_said_has_its_id(two_levels: tuple[World, World, str, str]) -> None:
    county, _, below, _ = two_levels
    told = next(i for i, one in enumerate(county.decoded) if isinstance(one, Final) and one.kind == "relayed.outcome")
    result = checked(county, below, {told: replace(county.decoded[told], id="00" * 32)})
    assert "said of the record is not the one of its source" in result.lines[-1].text


def test_an_erasure_is_of_the_record_it_names() -> None:
    world = World()
    other, message = world.recorded("beimen"), world.recorded()
    world.block(("annan", Erase(message)))
    data = sign_acts(world.acting["annan"], world.genesis.digest, "annan", world.at + 1, [Erase(other)])
    read = decode(data)
    assert isinstance(read, Envelope)
    place = place_of(world, Erased, message)
    lie = replace(world.decoded[place], act=read.act_digests[0], envelope=read.digest)  # type: ignore[type-var]

    def acts(given: list[ShownAct]) -> list[ShownAct]:
        return in_order([*(one for one in given if b'"act":"erase"' not in bytes(one.act)), shown(data)])

    assert "An erasure is of another message." in checked(world, message, {place: lie}, acts=acts).lines[-1].text


def test_ballots_of_epochs_in_which_it_was_not_open() -> None:
    world, made = history_of_epochs()
    for message, epoch in ((made[1], 1), (made[1], 3)):
        final = place_of(world, Final, message)
        record = world.decoded[final]
        assert isinstance(record, Final)
        lie = [replace(record.ballots[0], epoch=epoch), *record.ballots[1:]]
        log = forged(world, {final: replace(record, ballots=lie)})
        dossier = build_dossier(world, message, epoch=4)
        wanted = sorted({world.roster(epoch), *(leaf.index for leaf in dossier.leaves)})
        shown = [
            ShownLeaf(index, Raw(log.leaves[index]), [one.hex() for one in log.inclusion(index, len(log.leaves))])
            for index in wanted
        ]
        last = world.decoded[world.roster(4)]
        assert isinstance(last, RosterLeaf)
        changed = replace(dossier, checkpoint=log.checkpoint().decode(), leaves=shown)
        result = verify(encode_dossier(changed), policy_of_roster(world.genesis, last))
        assert f"is of epoch {epoch}, in which the record was not open" in result.lines[-1].text
