"""Checkpoints, handovers and policies that are not what they should be."""

from time import thread_time
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from tests.client.forging import checked, forged, place_of
from tests.client.histories import history_of_epochs, rotated
from tests.client.world import PEOPLE, Log, World, judge, report
from tocsin import charters
from tocsin.client.dossier import Dossier, Handover, ShownLeaf, build_dossier, encode_dossier
from tocsin.client.policy import Pin, Policy, policy_of_roster
from tocsin.client.report import Report
from tocsin.client.signing import SeedSigner, cosign_checkpoint, sign_checkpoint
from tocsin.client.verify import verify
from tocsin.kernel.acts import Annotate, Seal
from tocsin.kernel.charter import Charter
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import (
    Final,
    Opened,
    RosterLeaf,
)
from tocsin.tlog import Checkpoint, checkpoint, merkle, note
from tocsin.tlog.note import Signature


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
        false.block(("danei", Seal(false.notes[len(false.leaves)].decode())))
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
    started = thread_time()  # of the processor: others may have it meanwhile
    assert not verify(data, world.policy()).ok
    assert thread_time() - started < 5
