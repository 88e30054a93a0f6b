"""Dossiers over changes of the roster, and pinned checkpoints."""

from msgspec.structs import replace

from tests.client.histories import history_of_epochs, motion, rotated, texts
from tests.client.world import HOUR, PEOPLE, World, judge, keys_of, signer
from tocsin import charters
from tocsin.client import signing
from tocsin.client.policy import Pin, policy_of_roster
from tocsin.client.verify import verify
from tocsin.kernel.acts import (
    AdmitMotion,
    ExpelMotion,
    Seal,
    Standing,
    SuspendMotion,
)  # fmt: skip
from tocsin.kernel.leaves import RosterLeaf


def test_a_motion_that_waited_for_a_seal_beyond_its_vote() -> None:
    charter = charters.load("paper")
    rules = [replace(rule, window_s=3600) if rule.kind == "motion.expel" else rule for rule in charter.rules]
    world = World(charter=replace(charter, rules=rules))
    rotated(world, "annan", "finality")
    seal = Seal(world.notes[len(world.leaves)].decode())
    expel = motion("expel", ExpelMotion("danei", Standing(["reporter", "voter"], "active")))
    message = world.submit("annan", expel)
    world.block(("beimen", judge(message)), ("cigu", judge(message)), ("health", judge(message)))
    world.block(later=HOUR)
    assert message in world.state.messages
    world.block(("health", seal), later=15_000)
    assert message not in world.state.messages
    assert "Passed, it waited beyond its deadline" in texts(world, message)


def test_every_policy_of_the_past_leads_to_the_present() -> None:
    world, made = history_of_epochs()
    assert world.state.meta.epoch == 4
    rosters = [leaf for leaf in world.decoded if isinstance(leaf, RosterLeaf)]
    for message in made:
        data = world.dossier(message)
        for roster in rosters:
            result = verify(data, policy_of_roster(world.genesis, roster))
            assert result.ok, (roster.epoch, result.lines[-1])
    said = texts(world, made[2])
    assert "Epoch 3 handed over to epoch 4, with 5 members." in said


def test_a_dossier_may_start_later_for_later_policies() -> None:
    world, made = history_of_epochs()
    rosters = [leaf for leaf in world.decoded if isinstance(leaf, RosterLeaf)]
    data = world.dossier(made[0], epoch=3)
    assert len(data) < len(world.dossier(made[0]))
    results = [verify(data, policy_of_roster(world.genesis, roster)) for roster in rosters]
    assert [result.ok for result in results] == [False, False, True, True]
    assert "The dossier starts at epoch 3, after the policy's epoch 1; ask for one" in results[0].lines[-1].text


def test_a_checkpoint_right_after_a_change_is_signed_by_the_epoch_before() -> None:
    world = World()
    message = world.recorded()
    rotated(world, "annan", "finality")
    said = texts(world, message)
    assert "final by epoch 1" in said
    rosters = [leaf for leaf in world.decoded if isinstance(leaf, RosterLeaf)]
    result = verify(world.dossier(message), policy_of_roster(world.genesis, rosters[1]))
    assert "The policy is of epoch 2, newer than the dossier's checkpoint of epoch 1" in result.lines[-1].text


def test_the_suspended_count_in_constitutional_motions() -> None:
    world = World(people=PEOPLE | {"gangshan": ["reporter", "voter"]})
    terms = SuspendMotion("danei", Standing(["reporter", "voter"], "active"), 86_400)
    suspend = world.submit("annan", motion("suspend", terms))
    world.block(*((one, judge(suspend)) for one in ("beimen", "cigu")))
    assert "Electorate recomputed from the roster: annan, beimen, cigu, gangshan, health; 3 of 5" in texts(
        world, suspend
    )
    keys = keys_of(world.origin, "houbi")
    signers = [signer(world.origin, "houbi", role) for role in ("root", "act", "finality")]
    expires = world.at + 100 * HOUR
    proofs = signing.prove_possession(signers, world.genesis.digest, "houbi", keys, expires)
    admit = AdmitMotion("houbi", "test:houbi", ["reporter", "voter"], keys, expires, proofs)
    message = world.submit("beimen", motion("admit", admit))
    world.block(*((one, judge(message)) for one in ("annan", "cigu", "gangshan")))
    said = texts(world, message)
    assert "annan, beimen, cigu, gangshan, health; 4 of 6 needed." in said
    assert "houbi proved possession of its 3 keys." in said


# Pins.


def test_a_pinned_checkpoint_is_extended() -> None:
    world = World()
    first = world.recorded()
    pin = Pin(len(world.leaves), world.root(len(world.leaves)).hex())
    world.recorded("beimen")
    good = verify(world.dossier(first, pins=[pin]), world.policy(pin))
    assert good.ok
    assert (
        f"extends the checkpoint of {pin.size} leaves that the policy pins" in good.lines[1].text + good.lines[3].text
    )
    cases = {
        "does not show that its log extends the pinned one": verify(world.dossier(first), world.policy(pin)),
        "it was rewritten": verify(world.dossier(first, pins=[pin]), world.policy(Pin(pin.size, "00" * 32))),
        "newer than the dossier's": verify(world.dossier(first), world.policy(Pin(10**6, pin.root))),
        "does not extend the one": verify(
            world.dossier(first, pins=[Pin(pin.size, "00" * 32)]), world.policy(Pin(pin.size, "00" * 32))
        ),
    }
    for sentence, result in cases.items():
        assert not result.ok
        assert sentence in result.lines[-1].text
    now = Pin(len(world.leaves), world.root(len(world.leaves)).hex())
    assert verify(world.dossier(first, pins=[now]), world.policy(now)).ok
