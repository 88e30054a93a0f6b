"""`tocsin act`: what a member does about messages, incidents and itself, signed by its act key and handed to its node.

Motions that change the network or an incident are `tocsin motion`; what a node does by itself (relays, seals) has no
command.
"""

import argparse
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, get_args

import msgspec

from tocsin.cli.acting import act, add_action, clock, named, said, seat
from tocsin.cli.output import Failure
from tocsin.cli.verify import read
from tocsin.kernel import acts as kinds
from tocsin.kernel import words
from tocsin.kernel.acts import (
    Acknowledge,
    Annotate,
    Concur,
    Erase,
    ErasedHere,
    Evidence,
    Finding,
    Judge,
    Leave,
    Order,
    Present,
    Review,
    Revoke,
    Share,
    Subject,
    Submit,
    VetoAct,
    Withdraw,
)

_MAX_EVIDENCE = 1024 * 1024
_HOUR_MS = 3_600_000
_EPOCH = date(1970, 1, 1)

_action = partial(add_action, "act")


def add(verbs: Any) -> None:
    """Add the verb with its actions."""
    parser = verbs.add_parser(
        "act", help="report, judge, veto, order, find, erase", epilog="Each act and its command: docs/reference/acts.md"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_submitting(actions)
    _add_answering(actions)
    _add_own(actions)


def _add_submitting(actions: Any) -> None:
    report = _action(
        actions, "report", "report what was seen, in codes", run_report,
        "report node report.cluster.dengue --category icd11:1D2Z --area iso3166-2:TW-TNN --severity 2",
    )  # fmt: skip
    report.add_argument("kind", help="like report.cluster.dengue")
    report.add_argument("--category", required=True, help="scheme:code")
    report.add_argument("--area", action="append", required=True, help="scheme:code; again for more")
    report.add_argument("--onset", type=_day, metavar="DATE", help="when it began")
    report.add_argument("--detected", type=_day, metavar="DATE", help="when it was found (today)")
    report.add_argument("--severity", type=int, choices=range(5), default=0)
    report.add_argument("--status", choices=get_args(words.Status), default="actual")
    report.add_argument("--incident", help="the id of one that it belongs to, or new")
    share = _action(actions, "share", "carry a record to a peer", run_share,
                    "share node share.report health.example/tw/kaohsiung 3f2a")  # fmt: skip
    share.add_argument("kind", help="like share.report")
    share.add_argument("peer", help="origin of the peer")
    share.add_argument("record", help="id of the record")
    order = _action(actions, "order", "give an order", run_order,
                    "order node order.vector-control 3f2a --to annan --to houbi --due 24 --expires 72")  # fmt: skip
    order.add_argument("kind", help="like order.vector-control")
    order.add_argument("incident", help="its id, or how that begins")
    order.add_argument("--to", action="append", required=True, metavar="MEMBER", help="again for more")
    order.add_argument("--due", type=int, required=True, metavar="H", help="hours from now")
    order.add_argument("--expires", type=int, required=True, metavar="H", help="hours from now")
    order.add_argument("--replaces", help="id of the order in whose place it comes")
    revoke = _action(actions, "revoke", "take back an order", run_revoke, "revoke node 3f2a")
    revoke.add_argument("order", help="its id, or how that begins")
    finding = _action(actions, "finding", "say what became known to be true of a record", run_finding,
                      "finding node 3f2a upheld --evidence-class laboratory")  # fmt: skip
    review = _action(actions, "review", "replace a finding", run_review,
                     "review node 3f2a refuted --evidence-class field --finding 77ab")  # fmt: skip
    review.add_argument("--finding", required=True, help="id of the finding to replace")
    for one in (finding, review):
        one.add_argument("target", help="id of the record")
        one.add_argument("verdict", choices=get_args(words.Truth))
        one.add_argument("--evidence-class", choices=get_args(words.EvidenceClass), required=True)
        one.add_argument("--evidence", metavar="DIGEST", help="salted digest of what it rests on")
    for one in (report, share, order, revoke, finding, review):
        _add_body(one)


def _add_answering(actions: Any) -> None:
    judge = _action(actions, "judge", "vote on a message", run_judge, "judge node 3f2a abstain --code no-patients")
    judge.add_argument("message", help="its id, or how that begins")
    judge.add_argument("verdict", choices=get_args(words.Verdict))
    judge.add_argument("--code", choices=get_args(words.AbstainCode), help="why one abstains")
    judge.add_argument("--by", choices=("officer", "judge"), default="officer")
    judge.add_argument("--data-through", type=_day, metavar="DATE", help="the last day that our data reach")
    judge.add_argument("--evidence", metavar="DIGEST", help="salted digest of what it rests on")
    for name, help, run in (
        ("veto", "stop a message, as a supervisor", run_veto),
        ("concur", "give up our veto on a message", run_concur),
        ("withdraw", "take back a message of ours", run_withdraw),
        ("annotate", "say more about a message", run_annotate),
        ("erase", "ask that a body be erased", run_erase),
        ("erased-here", "attest that our copy of a body is erased", run_erased_here),
    ):
        more = {"veto": " --code wrong-data --body 91c0", "annotate": " correct --body 91c0"}.get(name, "")
        parser = _action(actions, name, help, run, f"{name} node 3f2a{more}")
        parser.add_argument("message", help="its id; while it is live, how that begins is enough")
        if name == "veto":
            parser.add_argument("--code", required=True, help="of the charter's list")
        if name == "annotate":
            parser.add_argument("note", choices=get_args(words.Note))
        if name in ("veto", "annotate"):
            _add_body(parser)
    acknowledge = _action(actions, "acknowledge", "answer an order", run_acknowledge,
                          "acknowledge node 3f2a cannot --code no-staff")  # fmt: skip
    acknowledge.add_argument("order", help="its id, or how that begins")
    acknowledge.add_argument("answer", choices=get_args(words.Answer))
    acknowledge.add_argument("--code", help="of the charter's list, where one cannot")


def _add_own(actions: Any) -> None:
    present = _action(actions, "present", "say to which day our data reach", run_present, "present node")
    present.add_argument("--through", type=_day, metavar="DATE", help="that day (today)")
    leave = _action(actions, "leave", "leave the network", run_leave, "leave node --yes")
    leave.add_argument("--yes", action="store_true", help="do it")
    evidence = _action(actions, "evidence", "put contradicting heads on the record", run_evidence,
                       "evidence node audit/evidence/12-5f0c1a2b.json")  # fmt: skip
    evidence.add_argument("file", type=Path, metavar="FILE", help="which `tocsin monitor` wrote")


def _add_body(parser: Any) -> None:
    parser.add_argument("--body", metavar="DIGEST", help="of the body with the text, which is not on the ledger")


def _day(text: str) -> int:
    """A date as days since 1970-01-01."""
    return (date.fromisoformat(text) - _EPOCH).days


def _today() -> int:
    return clock() // (24 * _HOUR_MS)


# What is submitted.


def run_report(options: argparse.Namespace) -> int:
    """`report.*`."""
    detected = _today() if options.detected is None else options.detected
    areas = sorted(set(options.area))
    subject = Subject(options.category, areas, options.onset, detected, options.severity, options.status)
    incident = options.incident
    if incident not in (None, "new"):
        incident = named(seat(options, "incident").incidents, incident, "incident")
    return _submitted(options, Submit(options.kind, incident, subject, None, options.body))


def run_share(options: argparse.Namespace) -> int:
    """`share.*`."""
    return _submitted(options, Submit(options.kind, None, None, Share(options.peer, options.record), options.body))


def run_order(options: argparse.Namespace) -> int:
    """`order.*`."""
    now = clock()
    due, expires = (now + hours * _HOUR_MS for hours in (options.due, options.expires))
    terms = Order(sorted(set(options.to)), due, expires, options.replaces)
    incident = named(seat(options, "incident").incidents, options.incident, "incident")
    return _submitted(options, Submit(options.kind, incident, None, terms, options.body))


def run_revoke(options: argparse.Namespace) -> int:
    """`order.revoke`."""
    orders = seat(options, "order").tables["order"]
    order = orders.get(named(orders, options.order, "order"))
    if order is None:
        raise Failure(f"No order {options.order} runs here.")
    return _submitted(options, Submit("order.revoke", order.incident, None, Revoke(order.id), options.body))


def run_finding(options: argparse.Namespace) -> int:
    """`finding`."""
    terms = Finding(options.target, options.verdict, options.evidence_class, options.evidence)
    return _submitted(options, Submit("finding", None, None, terms, options.body))


def run_review(options: argparse.Namespace) -> int:
    """`finding.review`."""
    terms = Review(options.finding, options.target, options.verdict, options.evidence_class, options.evidence)
    return _submitted(options, Submit("finding.review", None, None, terms, options.body))


def _submitted(options: argparse.Namespace, submit: Submit) -> int:
    handed = act(options, [submit])
    message = handed.message()
    return said(options, handed, {"message": message}, f"Submitted in block {handed.height}, as\n{message}")


# Answers to what others submitted.


def run_judge(options: argparse.Namespace) -> int:
    """A ballot."""
    return _done(
        options,
        Judge(_message(options), options.verdict, options.code, options.by, options.data_through, options.evidence),
    )


def run_veto(options: argparse.Namespace) -> int:
    """A veto."""
    return _done(options, VetoAct(_message(options), options.code, options.body))


def run_concur(options: argparse.Namespace) -> int:
    """No veto."""
    return _done(options, Concur(_message(options)))


def run_withdraw(options: argparse.Namespace) -> int:
    """The author's."""
    return _done(options, Withdraw(_message(options)))


def run_annotate(options: argparse.Namespace) -> int:
    """A statement that stays with a message."""
    return _done(options, Annotate(_message(options), options.note, options.body))


def run_acknowledge(options: argparse.Namespace) -> int:
    """An addressee's."""
    order = named(seat(options, "order").tables["order"], options.order, "order")
    return _done(options, Acknowledge(order, options.answer, options.code))


def run_erase(options: argparse.Namespace) -> int:
    """The author's, or a supervisor's."""
    return _done(options, Erase(_message(options)))


def run_erased_here(options: argparse.Namespace) -> int:
    """A holder's."""
    return _done(options, ErasedHere(_message(options)))


def _message(options: argparse.Namespace) -> str:
    return named(seat(options, "message").messages, options.message, "message")


# What is about ourselves, or the log.


def run_present(options: argparse.Namespace) -> int:
    """The weekly zero report."""
    return _done(options, Present(_today() if options.through is None else options.through))


def run_leave(options: argparse.Namespace) -> int:
    """Leave."""
    if not options.yes:
        raise Failure("Who has left comes back by a vote of the others only. Say so with --yes.")
    return _done(options, Leave())


def run_evidence(options: argparse.Namespace) -> int:
    """What an auditor found."""
    try:
        evidence = msgspec.json.decode(read(options.file, _MAX_EVIDENCE), type=Evidence)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{options.file} is no evidence ({error}); take a file that `tocsin monitor` wrote.") from error
    return _done(options, evidence)


def _done(options: argparse.Namespace, one: kinds.Act) -> int:
    handed = act(options, [one])
    return said(options, handed, {}, f"Taken in block {handed.height}.")
