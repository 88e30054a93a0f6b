"""Dossiers of a real network: what verifies, what it says, and that no byte of it can change."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.client.world import AREA, HOUR, PEOPLE, World, judge, keys_of, report, signer
from tocsin import charters
from tocsin.client import signing
from tocsin.client.dossier import MAX_DOSSIER, DossierError, build_dossier, decode_dossier, encode_dossier
from tocsin.client.policy import Pin, policy_of_roster
from tocsin.client.verify import verify
from tocsin.kernel import body as bodies
from tocsin.kernel.acts import (
    Acknowledge,
    AdmitMotion,
    Annotate,
    CloseMotion,
    Concur,
    Erase,
    ErasedHere,
    Finding,
    LeadMotion,
    Order,
    Review,
    Share,
    StageMotion,
    Standing,
    Submit,
    SuspendMotion,
    VetoAct,
    Withdraw,
)  # fmt: skip
from tocsin.kernel.charter import Dormant
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import Final, RosterLeaf

EVIDENCE = "ab" * 32


def texts(world: World, message: str, **options: Any) -> str:
    result = world.verify(message, **options)
    assert result.ok, [line.text for line in result.lines]
    return "\n".join(line.text for line in result.lines)


def motion(kind: str, terms: Any, incident: str | None = None) -> Submit:
    return Submit(f"motion.{kind}", incident, None, terms, None)


def finding(target: str, verdict: Any = "upheld", evidence: Any = "laboratory") -> Submit:
    return Submit("finding", None, None, Finding(target, verdict, evidence, EVIDENCE), None)


def incident_of(world: World, message: str) -> str:
    leaf = next(one for one in world.decoded if isinstance(one, Final) and one.id == message)
    assert leaf.incident is not None
    return leaf.incident


def with_auditors() -> World:
    charter = charters.for_network("pilot", 5, 1, k=2)[0]
    charter = replace(charter, kinds=[], stains=replace(charter.stains, refuted=True))
    people = PEOPLE | {"audit-a": ["auditor"], "audit-b": ["auditor"], "gangshan": ["reporter", "voter"]}
    return World(people=people, charter=charter)


# What can become of a message.


def test_supervised_record() -> None:
    world = World()
    said = texts(world, world.recorded())
    assert "Electorate recomputed from the roster: beimen, cigu, danei; 2 of 3 needed." in said
    assert "Tally recomputed: 2 endorse, 0 reject, 0 abstain; 2 of 3 needed." in said
    assert "health had the veto window of 3600 s and did not veto." in said
    assert "State recorded, no finding in this file: jointly suspected." in said
    assert "5 of 5, 4 self-held." in said
    assert "As of height 3 and 2015-08-01 01:02:00 UTC; later findings unknown." in said


def test_concurrence_ends_the_veto_window() -> None:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    world.block(("health", Concur(message)))
    said = texts(world, message)
    assert "All who may veto concurred: health." in said
    assert "health concurred: signed." in said


def test_late_ballots_do_not_count() -> None:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    world.block(("danei", judge(message, "reject")))
    world.block(later=HOUR)
    assert "2 endorse, 0 reject, 0 abstain, 1 late and not counted; 2 of 3 needed." in texts(world, message)


def test_vetoed() -> None:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    code = world.genesis.charter.codes.veto[0] if world.genesis.charter.codes.veto else "not-plausible"
    world.block(("health", VetoAct(message, code, None)))
    said = texts(world, message)
    assert f"health vetoed it ({code}): signed." in said
    assert "State vetoed" in said


def test_rejected_and_lapsed_and_withdrawn() -> None:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message, "reject")), ("cigu", judge(message, "abstain", "no-patients")))
    assert "lapsed at height" in texts(world, message)
    message = world.submit("annan", report())
    world.block(("beimen", judge(message, "reject")), ("cigu", judge(message, "reject")))
    assert "0 endorse, 2 reject, 0 abstain; 2 of 3 needed." in texts(world, message)
    message = world.submit("annan", report())
    world.block(later=25 * HOUR)
    world.block(later=25 * HOUR)
    assert "lapsed at height" in texts(world, message)
    message = world.submit("annan", report())
    world.block(("annan", Withdraw(message)))
    assert "annan withdrew it: signed." in texts(world, message)


def test_an_outage_moves_the_deadline() -> None:
    charter = charters.for_network("pilot", 4, 1, k=2)[0]
    world = World(charter=replace(charter, kinds=[]))
    message = world.submit("annan", report("report.urgent.dengue"))
    world.block(later=4 * HOUR + 121_000)
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    assert "An outage moved its deadline of 2015-08-01 04:01:00 UTC (spec F4):" in texts(world, message)


def test_vote_and_broadcast() -> None:
    world = World(charter=charters.load("broadcast-only"))
    said = texts(world, world.submit("annan", report()))
    assert "It takes no ballots" in said
    assert "1 signed acts recomputed" in said
    charter = replace(charters.for_network("pilot", 4, 1, k=2)[0], kinds=[])
    world = World(charter=charter)
    message = world.submit("annan", report("report.urgent.dengue"))
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    assert "Decided before the deadline of 2015-08-01 04:01:00 UTC." in texts(world, message)


def test_a_new_incident_and_an_exercise() -> None:
    world = World()
    message = world.recorded(act=report(incident="new", status="exercise"))
    assert "epoch 1, exercise only." in texts(world, message)


def test_dormant_members_are_said_to_be_unprovable() -> None:
    charter = replace(charters.load("paper"), dormant=Dormant(86_400, 1))
    world = World(charter=charter)
    unheard = world.submit("annan", report())
    world.block(("beimen", judge(unheard)), ("cigu", judge(unheard, "abstain", "no-patients")))
    world.block(later=24 * HOUR - 60_000)
    message = world.recorded()
    assert "left out: dormant, as the members found." in texts(world, message)


# Motions, orders, shares.


def test_motions_count_their_mover() -> None:
    world = World()
    incident = incident_of(world, world.recorded())
    lead = world.submit("annan", motion("lead", LeadMotion("stand", None), incident))
    world.block(("beimen", judge(lead)), ("cigu", judge(lead)))
    said = texts(world, lead)
    assert "Electorate recomputed from the roster: annan, beimen, cigu, danei, health; 3 of 5 needed." in said
    assert "3 ballots signed" in said
    stage = world.submit("beimen", motion("stage", StageMotion("watch", "response"), incident))
    stale = world.submit("cigu", motion("close", CloseMotion("watch", None), incident))
    world.block(("annan", judge(stage)), ("danei", judge(stage)))
    assert "3 endorse" in texts(world, stage)
    assert "void at height" in texts(world, stale)
    vacate = world.submit("cigu", motion("lead", LeadMotion("vacate", "annan"), incident))
    world.block(*((one, judge(vacate)) for one in ("beimen", "danei")))
    assert "Electorate recomputed from the roster: beimen, cigu, danei, health; 3 of 4" in texts(world, vacate)


def test_orders_and_their_receipts() -> None:
    world = World()
    incident = incident_of(world, world.recorded())
    for proposal in (LeadMotion("stand", None), StageMotion("watch", "response")):
        kind = "lead" if isinstance(proposal, LeadMotion) else "stage"
        message = world.submit("annan", motion(kind, proposal, incident))
        world.block(("beimen", judge(message)), ("cigu", judge(message)))
    terms = Order(["beimen", "cigu"], world.at + 2 * HOUR, world.at + 4 * HOUR, None)
    order = world.submit("annan", Submit("order.spray", incident, None, terms, None))
    world.block(("beimen", Acknowledge(order, "received", None)), ("cigu", Acknowledge(order, "received", None)))
    world.block(("beimen", Acknowledge(order, "done", None)))
    world.block(later=2 * HOUR)
    world.block(("cigu", Acknowledge(order, "done", None)))
    said = texts(world, order)
    assert "annan issued it as lead; that it was, the members found" in said
    assert "receipts (due) of 2 addressees, 1 done." in said
    assert "receipts (complete) of 2 addressees, 2 done." in said


# After the record.


def test_annotations_findings_and_settlement() -> None:
    world = World()
    message = world.recorded()
    world.block(("annan", Annotate(message, "update", None)), ("beimen", Annotate(message, "recant", None)))
    world.block(("health", Annotate(message, "object", None)))
    world.block(("health", finding(message)))
    said = texts(world, message)
    assert "update by annan" in said
    assert "recant by beimen" in said
    assert "object by health" in said
    assert "finding of health" in said
    assert "settled; credits recomputed: annan +3, beimen +1, cigu +1; stains: nobody." in said
    assert "State recorded, found upheld: confirmed." in said


def test_refuted_then_reviewed() -> None:
    world = with_auditors()
    message = world.recorded(window=12 * HOUR)
    world.block(("audit-a", finding(message, "refuted", "field")))
    said = texts(world, message)
    assert "stains: annan, beimen, cigu." in said
    assert "found refuted: discarded." in said
    number = next(one.id for one in world.decoded if type(one).__name__ == "FindingLeaf")
    review = Submit("finding.review", None, None, Review(number, message, "upheld", "laboratory", EVIDENCE), None)
    name = world.submit("annan", review)
    world.block(("danei", judge(name)), ("gangshan", judge(name)))
    said = texts(world, message)
    assert "review of annan" in said
    assert "found upheld: confirmed." in said
    said = texts(world, name)
    assert "parties of the record under review, or dormant, as the members found" in said
    assert f"by it {message[:12]} is found upheld (laboratory)." in said


def test_retraction_in_time_takes_neither_credit_nor_blame() -> None:
    charter = charters.load("paper")
    world = World(charter=replace(charter, stains=replace(charter.stains, grace_s=72 * 3600)))
    message = world.recorded()
    world.block(("annan", Annotate(message, "retract", None)), ("beimen", Annotate(message, "recant", None)))
    world.block(("health", finding(message, "refuted")))
    assert "stains: cigu." in texts(world, message)


def test_an_overturned_veto() -> None:
    world = with_auditors()
    message = world.submit("annan", report())
    code = world.genesis.charter.codes.veto[0] if world.genesis.charter.codes.veto else "not-plausible"
    world.block(("health", VetoAct(message, code, None)))
    world.block(("audit-a", finding(message)))
    said = texts(world, message)
    assert "the veto overturned." in said
    assert "stains: health." in said


def test_erasure_is_attested_by_holders() -> None:
    world = World()
    message = world.recorded()
    world.block(("annan", Erase(message)), ("beimen", ErasedHere(message)), ("cigu", ErasedHere(message)))
    said = texts(world, message)
    assert "annan asked for the erasure" in said
    assert "2 holders of its body attested to have erased it: beimen, cigu." in said


def test_disclosed_fields() -> None:
    salts = [bytes([i]) * 32 for i in range(len(bodies.SCHEMAS["report"]))]
    made = bodies.make("report", {"title": {"en": "Nine cases\x1b[2J\u202e", "zh": "九例"}, "cases": 9}, salts)
    world = World()
    message = world.recorded(act=report(body=bodies.body_digest(made)))
    shown = bodies.disclose(made, ["title", "cases", "contact"])
    said = texts(world, message, bodies=[shown])
    assert 'Disclosed of the record: title = [["en","Nine cases\\u001b[2J\\u202e"],["zh","九例"]]' in said
    assert "Disclosed of the record: cases = 9" in said
    assert "Disclosed of the record: contact = absent" in said
    other = world.recorded(author="beimen")
    result = verify(world.dossier(other, bodies=[shown]), world.policy())
    assert result.lines[-1].text.endswith("belongs to nothing in this record.")


# Envelopes with many acts.


def test_one_act_of_a_batch_is_shown_with_the_digests_of_the_others() -> None:
    world = World()
    one, other = world.submit("annan", report()), world.submit("cigu", report(severity=1))
    world.batch(("beimen", [judge(one), judge(other)]), ("danei", [judge(other), judge(one)]))
    world.block(later=HOUR)
    for message, unseen in ((one, other), (other, one)):
        dossier = decode_dossier(world.dossier(message))
        assert sorted(len(act.others) for act in dossier.acts) == [0, 1, 1]
        assert unseen.encode() not in encode(dossier.acts)
        texts(world, message)


def test_the_same_act_twice_in_an_envelope_makes_two_records() -> None:
    world = World(charter=charters.load("broadcast-only"))
    world.batch(("annan", [report(), report()]))
    made = [leaf.id for leaf in world.decoded if isinstance(leaf, Final)]
    assert len(set(made)) == 2
    for message in made:
        texts(world, message)


# Epochs.


def rotated(world: World, member: str, role: Any = "act", generation: str = "2") -> None:
    new = signer(world.origin, member, role + generation)
    act = signing.rotation(new, world.genesis.digest, member, role)
    data = world.envelope_of(member, [act], key=signer(world.origin, member, "root"))
    world.at += 1000
    from tocsin.kernel.envelope import Envelope, decode

    read = decode(data)
    assert isinstance(read, Envelope)
    outcome = world.apply([read])
    assert outcome.receipts == [[0]]
    if role == "act":
        world.acting[member] = new
    else:
        world.finality[member] = new


def history_of_epochs() -> tuple[World, list[str]]:
    """Epochs 1 to 4, with a record in each, and one whose ballots lie in two."""
    world = World()
    made = [world.recorded()]
    rotated(world, "beimen")
    made.append(world.recorded())
    across = world.submit("annan", report())
    world.block(("cigu", judge(across)))
    rotated(world, "danei")
    world.block(("danei", judge(across)))
    world.block(later=HOUR)
    rotated(world, "annan", "finality")
    made += [across, world.recorded("cigu")]
    return world, made


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


# Between networks.


@pytest.fixture(scope="module")
def two_levels() -> tuple[World, World, str, str]:
    charter = charters.load("paper")
    county = World(people=PEOPLE | {"bureau": ["relay"]}, charter=charter)
    nation = World("health.example/tw", {"kaohsiung": ["relay", "voter"], "tainan": ["relay", "voter"],
                                         "taipei": ["relay", "voter"], "centre": ["supervisor"]}, charter)  # fmt: skip
    nation.at = county.at
    county.befriend(nation, "parent", None, ["annan", "beimen", "cigu", "danei"])
    nation.befriend(county, "child", "tainan", ["kaohsiung", "tainan", "taipei", "centre"])
    below = county.recorded()
    nation.at = county.at
    county.relay_to(nation, "taipei")
    above = next(iter(nation.state.messages))
    nation.block(("kaohsiung", judge(above)), ("taipei", judge(above)))
    nation.block(later=HOUR)
    nation.block(("centre", finding(above)))
    county.at = nation.at
    nation.relay_to(county, "bureau")
    return county, nation, below, above


def test_a_relayed_record_shows_where_it_came_from(two_levels: tuple[World, World, str, str]) -> None:
    _, nation, below, above = two_levels
    said = texts(nation, above)
    assert "taipei relayed leaf" in said
    assert "(number 1): proven in its log" in said
    assert "6 of 6 of the peer's finality keys signed that checkpoint, 4 needed." in said
    assert f"It came through 1 network, first known as {below[:12]}" in said
    assert "Electorate recomputed from the roster: kaohsiung, taipei; 2 of 2 needed." in said
    assert "settled; credits recomputed: tainan +1, kaohsiung +1, taipei +1" in said


def test_what_the_parent_said_stands_in_the_childs_dossier(two_levels: tuple[World, World, str, str]) -> None:
    county, _, below, _ = two_levels
    said = texts(county, below)
    assert "health.example/tw told" in said
    assert "outcome there recorded; as this network's members took it." in said
    assert "finding of health.example/tw" in said
    assert "State recorded, found upheld: confirmed." in said
    told = [leaf.id for leaf in county.decoded if isinstance(leaf, Final) and leaf.kind.startswith("relayed.")]
    assert len(told) == 2
    for message in told:
        texts(county, message)


def test_a_share_is_checked_here_and_there(two_levels: tuple[World, World, str, str]) -> None:
    county, nation, below, _ = two_levels
    shared = county.submit("bureau", Submit("share.record", None, None, Share(nation.origin, below), None))
    texts(county, shared)
    nation.at = county.at
    county.relay_to(nation, "taipei")
    there = [leaf.id for leaf in nation.decoded if isinstance(leaf, Final) and leaf.kind == "relayed.share.record"]
    for message in there:
        texts(nation, message)


# No byte can change.


@pytest.fixture(scope="module")
def small() -> tuple[World, bytes]:
    world = World()
    return world, world.dossier(world.recorded())


def test_every_changed_byte_is_refused(small: tuple[World, bytes]) -> None:
    world, data = small
    policy = world.policy()
    assert verify(data, policy).ok
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        assert not verify(bytes(changed), policy).ok, position


def test_every_sampled_byte_of_a_rich_dossier_is_refused(two_levels: tuple[World, World, str, str]) -> None:
    for world, message in ((two_levels[1], two_levels[3]), (two_levels[0], two_levels[2])):
        data = world.dossier(message)
        assert verify(data, world.policy()).ok
        for position in range(0, len(data), 41):
            changed = bytearray(data)
            changed[position] = (changed[position] + 1 + position % 200) % 256
            if changed[position] != data[position]:
                assert not verify(bytes(changed), world.policy()).ok, position


def test_cut_and_grown_files_are_refused(small: tuple[World, bytes]) -> None:
    world, data = small
    for changed in (*(data[:length] for length in range(0, len(data), 97)), data + b"\n", b" " + data, data + data):
        assert not verify(changed, world.policy()).ok


def test_whatever_is_taken_out_or_put_twice_is_refused(small: tuple[World, bytes]) -> None:
    world, data = small
    plain = json.loads(data)

    def dump(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    assert dump(plain) == data
    for name in ("leaves", "acts"):
        for place in range(len(plain[name])):
            for part in (
                plain[name][:place] + plain[name][place + 1 :],
                plain[name][: place + 1] + plain[name][place:],
            ):
                assert not verify(dump(plain | {name: part}), world.policy()).ok, (name, place)
        assert not verify(dump(plain | {name: plain[name][::-1]}), world.policy()).ok
    for name in plain:
        assert not verify(dump({key: value for key, value in plain.items() if key != name}), world.policy()).ok
    assert not verify(dump(plain | {"more": 1}), world.policy()).ok
    lines = plain["checkpoint"].split("\n")
    for place in range(len(lines)):
        for part in (lines[:place] + lines[place + 1 :], lines[: place + 1] + lines[place:]):
            result = verify(dump(plain | {"checkpoint": "\n".join(part)}), world.policy())
            # Four of five finality lines are still a quorum: that file says so, and is another true one.
            assert not result.ok or result.lines[-2].text in ("4 of 5, 4 self-held.", "4 of 5, 3 self-held.")


def test_leaves_that_have_no_part_are_refused() -> None:
    world = World()
    first = world.recorded()
    world.recorded("beimen")
    dossier = build_dossier(world, first)
    for index in range(len(world.leaves)):
        if index not in [leaf.index for leaf in dossier.leaves]:
            from tocsin.client.dossier import ShownLeaf

            proof = [one.hex() for one in world.inclusion(index, len(world.leaves))]
            shown = ShownLeaf(index, msgspec.Raw(world.leaves[index]), proof)
            more = replace(dossier, leaves=sorted([*dossier.leaves, shown], key=lambda one: one.index))
            result = verify(encode_dossier(more), world.policy())
            assert not result.ok, index


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no dossier"),
        (b"null", "no dossier"),
        (b"\xff\xfe", "no dossier"),
        (b"[" * 1_000_000, "no dossier"),
        (b'{"format":' * 100_000, "no dossier"),
        (b'{"format":"tocsin-dossier/2"}', "no dossier"),
        (b"0" * (MAX_DOSSIER + 1), "at most"),
    ],
)
def test_foreign_bytes_get_a_sentence(data: bytes, sentence: str) -> None:
    result = verify(data, World().policy())
    assert not result.ok
    assert sentence in result.lines[-1].text


def test_deeply_nested_and_huge_numbers_inside(small: tuple[World, bytes]) -> None:
    world, data = small
    head, _, tail = data.partition(b'"leaves":[{"index":0,"leaf":')
    deep = head + b'"leaves":[{"index":0,"leaf":' + b"[" * 500_000 + b"]" * 500_000 + b"," + tail.partition(b",")[2]
    assert not verify(deep, world.policy()).ok
    for number in (b"-1", b"1e3", b"1.0", b"99999999999999999999999999", b"9007199254740993", b"00", b"NaN"):
        assert not verify(data.replace(b'"index":1,', b'"index":' + number + b",", 1), world.policy()).ok


# What cannot be made.


def test_no_dossier_without_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    message = world.recorded()
    open_one = world.submit("beimen", report())
    cases: list[tuple[str, str, Callable[[], None]]] = [
        (open_one, "is not final", lambda: None),
        ("00" * 32, "is not final", lambda: None),
        (message, "is not at hand", lambda: monkeypatch.setattr(world, "envelope", lambda *_: None)),
        (message, "cannot be read", lambda: monkeypatch.setattr(world, "checkpoint", lambda: b"x")),
    ]
    for name, sentence, spoil in cases:
        spoil()
        with pytest.raises(DossierError, match=sentence):
            build_dossier(world, name)


def test_a_source_may_add_foreign_lines_and_refreshed_ones() -> None:
    world = World()
    message = world.recorded()
    from tocsin.tlog import note

    size = max(world.notes)
    parsed = note.parse(world.notes[size])
    stranger = note.sign_line(note.VerifierKey("witness.example/w", 4, b"\x07" * 32), b"\x00" * 72)
    head = signing.Checkpoint(world.origin, size, world.root(size))
    newer = signing.cosign_checkpoint(world.finality["annan"], "annan", head, world.at // 1000 + 500)
    world.notes[size] = note.format(parsed.text, [stranger, newer, *reversed(parsed.signatures)])
    texts(world, message)
    assert AREA.encode() in world.dossier(message)
