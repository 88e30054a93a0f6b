"""Policies and exports: the same trust, and the same proof, in files that others read."""

import pytest
from msgspec.structs import replace

from tests.client.histories import history_of_epochs
from tests.client.world import World
from tocsin.client.dossier import build_dossier
from tocsin.client.export import tlog_proof
from tocsin.client.policy import (
    MAX_POLICY,
    Pin,
    Policy,
    PolicyError,
    decode_policy,
    encode_policy,
    policy_of_roster,
    tlog_policy_file,
)
from tocsin.client.report import when
from tocsin.client.signing import verify_signature
from tocsin.kernel.leaves import RosterLeaf
from tocsin.tlog import policy as tlog_policy
from tocsin.tlog import proof


def test_policies_come_back() -> None:
    world = World()
    for policy in (world.policy(), world.policy(Pin(4, "ab" * 32))):
        data = encode_policy(policy)
        assert data.endswith(b"}\n")
        assert decode_policy(data) == policy
        assert decode_policy(data[:-1]) == policy


def test_founders_and_first_roster_are_the_same_trust() -> None:
    world = World()
    roster = world.decoded[world.roster(1)]
    assert isinstance(roster, RosterLeaf)
    assert policy_of_roster(world.genesis, roster) == world.policy()


def test_bad_policies_get_a_sentence() -> None:
    policy = World().policy()
    good = encode_policy(policy)
    roster = policy.roster
    cases: list[tuple[bytes, str]] = [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 60_000, "cannot be read"),
        (good + b"\n", "not canonical"),
        (good.replace(b'"epoch":1', b'"epoch":1.0'), "cannot be read"),
        (good.replace(b'"epoch":1', b'"epoch":0'), "cannot be read"),
        (good.replace(b'"epoch":1', b'"epoch":1,"epoch":1'), "not canonical"),
        (good.replace(b"tocsin-policy/1", b"tocsin-policy/2"), "cannot be read"),
        (good.replace(b'"origin":', b'"origin": '), "not canonical"),
        (b" " * (MAX_POLICY + 1), "at most"),
    ]
    for data, sentence in cases:
        with pytest.raises(PolicyError, match=sentence):
            decode_policy(data)
    wrong: list[tuple[Policy, str]] = [
        (replace(policy, roster=roster[::-1]), "not sorted by id"),
        (replace(policy, roster=[roster[0], *roster]), "stands twice"),
        (replace(policy, roster=[replace(roster[0], finality=roster[1].finality), *roster[1:]]), "key stands twice"),
        (replace(policy, log_key=roster[1].finality), "key stands twice"),
        (replace(policy, roster=[replace(roster[0], finality="01" + "00" * 31), *roster[1:]]), "weak key"),
        (replace(policy, log_key="00" * 32), "weak key"),
        (replace(policy, roster=[replace(one, active=False) for one in roster]), "no member that signs"),
    ]
    for changed, sentence in wrong:
        with pytest.raises(PolicyError, match=sentence):
            encode_policy(changed)


def test_a_foreign_reader_checks_the_exported_proof() -> None:
    world = World()
    message = world.recorded()
    exported = tlog_proof(build_dossier(world, message))
    trusted = tlog_policy.parse(tlog_policy_file(world.policy()))
    verified = proof.verify_proof(proof.parse(exported.proof), exported.leaf, trusted, verify_signature)
    assert verified.checkpoint.size == len(world.leaves)
    assert world.leaves[verified.index] == exported.leaf
    assert message.encode() in exported.leaf
    with pytest.raises(proof.ProofError):
        proof.verify_proof(proof.parse(exported.proof), exported.leaf + b" ", trusted, verify_signature)


def test_the_exported_policy_asks_for_the_same_quorum() -> None:
    world = World()
    world.silent = {"annan", "beimen"}
    world.block()
    world.recorded("cigu")
    text = tlog_policy_file(world.policy()).decode()
    assert "group quorum 4 health.example/tw/tainan/annan " in text
    assert text.count("witness ") == 5
    suspended = replace(world.policy().roster[0], active=False)
    smaller = replace(world.policy(), roster=[suspended, *world.policy().roster[1:]])
    assert "group quorum 3 health.example/tw/tainan/beimen " in tlog_policy_file(smaller).decode()


def test_exports_after_a_change_of_epoch_need_the_policy_of_that_epoch() -> None:
    world, made = history_of_epochs()
    exported = tlog_proof(build_dossier(world, made[0]))
    parsed = proof.parse(exported.proof)
    rosters = [leaf for leaf in world.decoded if isinstance(leaf, RosterLeaf)]
    trusted = [tlog_policy.parse(tlog_policy_file(policy_of_roster(world.genesis, one))) for one in rosters]
    assert proof.verify_proof(parsed, exported.leaf, trusted[-1], verify_signature).index > 0


def test_any_moment_can_be_told() -> None:
    assert when(1_438_387_200_999) == "2015-08-01 00:00:00 UTC"
    for ms in (-(2**63), 2**53, 10**30):
        assert when(ms)
