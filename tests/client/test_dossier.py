"""Dossiers of a real network: what verifies, and what it says."""

from msgspec.structs import replace

from tests.client.histories import EVIDENCE, finding, incident_of, motion, texts, with_auditors
from tests.client.world import HOUR, World, judge, report
from tocsin import charters
from tocsin.client.dossier import decode_dossier
from tocsin.client.verify import verify
from tocsin.kernel import body as bodies
from tocsin.kernel.acts import (
    Acknowledge,
    Annotate,
    CloseMotion,
    Concur,
    Erase,
    ErasedHere,
    LeadMotion,
    Order,
    Review,
    StageMotion,
    Submit,
    VetoAct,
    Withdraw,
)  # fmt: skip
from tocsin.kernel.charter import Dormant
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import Final

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
    twice = verify(world.dossier(message, bodies=[shown, shown]), world.policy())
    assert "or one stands twice" in twice.lines[-1].text
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
