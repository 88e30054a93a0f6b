"""The paper's figures 1, 3 and 4, act by act, with the siblings that must fail (charters, spec 13).

Figure 2 needs real proofs between networks and stands in `tests/node/test_tree.py`.
"""

from tests.figures.net import HOUR, Net, keys
from tocsin.kernel.acts import (
    Acknowledge,
    AdmitMotion,
    Concur,
    Finding,
    Judge,
    LeadMotion,
    Order,
    StageMotion,
    Submit,
    VetoAct,
)
from tocsin.kernel.reasons import Reason
from tocsin.kernel.words import Role

RV: list[Role] = ["reporter", "voter"]


def ballots(net: Net) -> list[str]:
    return [one["member"] for one in net.leaf("recorded")["ballots"]]


# Figure 1: multi-party endorsement.


def figure_1() -> tuple[Net, str]:
    net = Net("paper", {"n1": RV, "n2": RV, "n3": RV, "n4": RV})
    return net, net.submit("n3", "report.cluster")


def test_figure_1() -> None:
    net, message = figure_1()
    opened = net.leaf("opened")
    assert (opened["electorate"], opened["need"]) == (["n1", "n2", "n4"], 2)
    assert net.endorse(message, "n1", "n2", "n4") == [0, 0, 0]
    assert net.kinds == ["recorded", "incident"]
    assert ballots(net) == ["n1", "n2", "n4"]


def test_figure_1_the_author_does_not_judge_its_own() -> None:
    net, message = figure_1()
    assert net.endorse(message, "n3") == [Reason.NOT_AN_ELECTOR]


def test_figure_1_one_block_later_the_message_is_final() -> None:
    net, message = figure_1()
    net.endorse(message, "n1", "n2")
    assert ballots(net) == ["n1", "n2"]
    assert net.endorse(message, "n4") == [Reason.NOT_OPEN]


def test_a_second_ballot_is_refused() -> None:
    net, message = figure_1()
    assert net.endorse(message, "n1", "n1") == [0, Reason.ALREADY_JUDGED] or net.endorse(message, "n1") == [
        Reason.ALREADY_JUDGED
    ]


# Figure 3: dynamic autonomy.


def test_figure_3() -> None:
    net = Net("paper", {"a": RV, "b": RV, "c": RV, "d": RV})
    report = net.submit("c", "report.cluster")
    net.endorse(report, "a", "b")
    incident = net.leaf("incident")["id"]
    assert net.state.incidents[incident].stage == "watch"

    first = net.submit("a", "motion.lead", incident=incident, terms=LeadMotion("stand", None))
    assert net.leaf("opened")["need"] == 3
    net.endorse(first, "b", "c")
    assert net.state.incidents[incident].lead == "a"

    stage = net.submit("c", "motion.stage", incident=incident, terms=StageMotion("watch", "response"))
    net.endorse(stage, "b", "d")
    assert net.state.incidents[incident].stage == "response"

    second = net.submit("b", "motion.lead", incident=incident, terms=LeadMotion("stand", "a"))
    net.endorse(second, "c", "d")
    assert net.state.incidents[incident].lead == "b"
    order = Order(["c"], net.at + HOUR, net.at + 2 * HOUR, None)
    net.submit("a", "order.isolate", incident=incident, terms=order, expect=Reason.NOT_AN_ISSUER)
    net.submit("b", "order.isolate", incident=incident, terms=order)
    assert net.kinds == ["recorded"]

    terms = AdmitMotion("e", "lei:e", RV, keys("e"), net.at + HOUR, ["0" * 128] * 3)
    admit = net.submit("d", "motion.admit", terms=terms)
    net.endorse(admit, "a", "b")
    assert net.kinds == ["recorded", "roster"]
    assert [one["id"] for one in net.leaf("roster")["members"]] == ["a", "b", "c", "d", "e"]
    later = net.submit("a", "report.cluster")
    assert (net.leaf("opened")["electorate"], net.leaf("opened")["need"]) == (["b", "c", "d", "e"], 3)
    assert net.endorse(later, "e") == [0]


# Figure 4: the worked example, in N1.


def figure_4() -> tuple[Net, str]:
    net = Net("figure-4", {"a": RV, "b": RV, "r": ["supervisor", "relay"]})
    return net, net.submit("a", "report.pandemic")


def test_figure_4a_silence_of_the_supervisor() -> None:
    net, message = figure_4()
    assert (net.leaf("opened")["electorate"], net.leaf("opened")["need"]) == (["b"], 1)
    net.endorse(message, "b")
    assert net.kinds == []
    assert net.state.messages[message].state == "endorsed"
    assert net.wait() == ["recorded", "incident"]
    assert net.leaf("incident")["stage"] == "watch"
    net.submit("r", "finding", terms=Finding(message, "upheld", "field", "a" * 64))
    assert net.kinds == ["finding", "settled"]
    assert {name: one.credits for name, one in net.state.accounts.items()} == {"a": 3, "b": 1, "r": 0}


def test_figure_4a_the_supervisor_concurs() -> None:
    net, message = figure_4()
    net.endorse(message, "b")
    assert net.block(("r", Concur(message))) == [0]
    assert net.kinds == ["recorded", "incident"]


def test_figure_4b_the_supervisor_vetoes() -> None:
    net, message = figure_4()
    assert net.state.accounts["a"].tokens == 3
    net.endorse(message, "b")
    assert net.block(("r", VetoAct(message, "not-borne-out", None))) == [0]
    assert net.kinds == ["vetoed"]
    assert net.state.accounts["a"].tokens == 4
    assert not net.state.incidents


def test_a_veto_in_the_block_of_the_deciding_ballot_wins() -> None:
    net, message = figure_4()
    ballot = Judge(message, "endorse", None, "officer", None, None)
    assert net.block(("b", ballot), ("r", VetoAct(message, "not-borne-out", None))) == [0, 0]
    assert net.kinds == ["vetoed"]


def test_figure_4d_the_supervisor_leads() -> None:
    net, message = figure_4()
    net.endorse(message, "b")
    net.wait()
    incident = net.leaf("incident")["id"]
    stage = net.submit("a", "motion.stage", incident=incident, terms=StageMotion("watch", "response"))
    net.endorse(stage, "b")
    lead = net.submit("r", "motion.lead", incident=incident, terms=LeadMotion("stand", None))
    net.endorse(lead, "a")
    assert net.state.incidents[incident].lead == "r"

    again = net.submit("a", "report.pandemic", incident=incident)
    veto = VetoAct(again, "not-borne-out", None)
    assert net.block(("r", veto)) == [Reason.NOT_ELIGIBLE_TO_VETO]
    net.endorse(again, "b")
    assert net.kinds == ["recorded"]

    order = Order(["a", "b"], net.at + HOUR, net.at + 2 * HOUR, None)
    isolation = net.submit("r", "order.isolate", incident=incident, terms=order)
    for answer in ("received", "done"):
        acts = [(one, Acknowledge(isolation, answer, None)) for one in ("a", "b")]  # type: ignore[arg-type]
        assert net.block(*acts) == [0, 0]
    assert net.kinds == ["order_receipts"]
    assert net.leaf("order_receipts")["cause"] == "complete"

    nameless = net.submit("b", "report.pandemic")
    assert net.state.messages[nameless].stage == "response"
    found = Submit("finding", None, None, Finding(message, "upheld", "field", "a" * 64), None)
    assert net.block(("r", found)) == [Reason.PARTY_OR_LEAD]
