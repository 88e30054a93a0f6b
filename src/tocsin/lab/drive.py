"""The day loop of a replay: what townships, bureaus and the centre do each morning (replay 9 to 12).

Nothing here knows the truth: the actors see `Knowledge`, one row each, and the networks' own states.
Block time is 08:00 of the archive's own calendar, taken as UTC, and each deadline in between.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.kernel.acts import Judge, StageMotion, Submit, Subject, VetoAct
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import message_id
from tocsin.kernel.leaves import AnyLeaf, Final, IncidentLeaf, Opened
from tocsin.kernel.rows import Message
from tocsin.kernel.tokens import refill
from tocsin.kernel.words import Verdict
from tocsin.lab.chain import Chain
from tocsin.lab.knowledge import Knowledge

DAY_MS = 86_400_000
MORNING_MS = 8 * 3_600_000
PATIENCE_DAYS = 14
"""After this long still seeing, a report that was not recorded is made again (replay 9)."""
STALE_DAYS = 3
"""Data older than this make a voter abstain rather than reject (replay 10)."""

_decode = msgspec.json.Decoder(AnyLeaf).decode


def morning(day: int) -> int:
    """Block time of a day's round, ms."""
    return day * DAY_MS + MORNING_MS


def day_of(at: int) -> int:
    """The day of a block time."""
    return at // DAY_MS


@dataclass(slots=True)
class Report:
    """A report of an agency, as the replay follows it. Times are block times in ms; `network` indexes the archive."""

    network: int
    agency: int
    message: str
    opened: int
    count: int
    state: str = "open"
    final: int | None = None
    incident: str | None = None
    endorsers: int = 0
    national: str | None = None
    national_at: int | None = None


@dataclass(slots=True)
class Costs:
    """What the networks' people did: counted, for the page's table of cost."""

    envelopes: int = 0
    ballots: int = 0
    reports: int = 0
    held_back: int = 0
    endings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Seat:
    """A leaf network's place in the replay: its chain, its agencies by archive index, its kind of report."""

    network: int
    chain: Chain
    agencies: tuple[int, ...]
    area: str


class Drive:
    """Runs mornings over leaf networks and, if given, the tree above them."""

    def __init__(
        self,
        knowledge: Knowledge,
        seats: Mapping[int, Seat],
        *,
        cases: int,
        window: int,
        kind: str,
        category: str,
        upper: Mapping[int, Chain] | None = None,
        children: Mapping[int, Mapping[str, tuple[int, ...]]] | None = None,
        centre: str = "centre",
        carry: Callable[[int], bool] | None = None,
        veto: Callable[[int, Message, int], bool] | None = None,
    ) -> None:
        self.knowledge = knowledge
        self.seats = seats
        self.cases, self.kind, self.category, self.centre = cases, kind, category, centre
        self.upper = dict(upper or {})
        self.children = dict(children or {})
        self._carry = carry
        self._veto = veto
        self.counts: NDArray[np.int32] = knowledge.window(window)
        self.sees: NDArray[np.bool_] = self.counts >= cases
        self.reports: dict[str, Report] = {}
        self.costs = Costs()
        self._last: dict[int, Report] = {}
        self._chains: dict[int, Chain] = {one.network: one.chain for one in seats.values()} | self.upper
        self._opened_up: list[tuple[int, str]] = []

    def run(self, first: int, last: int, progress: Callable[[int], None] | None = None,
            evening: Callable[[int, int], None] | None = None) -> None:  # fmt: skip
        """Every morning from `first` to `last`, both included; `evening(day, at)` may add findings."""
        for day in range(first, last + 1):
            self._deadlines(morning(day) - 1)
            self._round(day)
            if evening is not None:
                evening(day, morning(day))
                self._blocks(morning(day))
            if progress is not None:
                progress(day)

    def _deadlines(self, until: int) -> None:
        while True:
            due = [at for chain in self._chains.values() if (at := chain.state.next_deadline()) is not None]
            if not due or min(due) > until:
                return
            self._blocks(min(due))

    def _blocks(self, at: int) -> None:
        """A block of each network that has something to do at `at`, then relays and their blocks."""
        while True:
            for network, chain in self._chains.items():
                outcome = chain.make_block(at)
                if outcome is not None:
                    self._follow(network, outcome)
            if self._carry is None or not self._carry(at):
                return

    def _round(self, day: int) -> None:
        at = morning(day)
        column = self.knowledge.column(day)
        # What is due this very morning comes first: step 1 of the block that takes the acts.
        for seat in self.seats.values():
            self._ballots(seat, day, column, at)
            self._reports(seat, day, column, at)
        for network in self.upper:
            self._above(network, day, column, at)
        self._blocks(at)

    def _reports(self, seat: Seat, day: int, column: int, at: int) -> None:
        """Rising edge, growth since a report that came to nothing, or patience (replay 9)."""
        state = seat.chain.state
        for agency in seat.agencies:
            if not self.sees[agency, column]:
                continue
            rising = column == 0 or not self.sees[agency, column - 1]
            last = self._last.get(agency)
            if not rising and (last is None or not self._again(last, int(self.counts[agency, column]), day)):
                continue
            if last is not None and last.state in ("open", "endorsed"):
                continue
            name = self.knowledge.archive.agencies[agency].id
            account = state.accounts[name]
            spare = msgspec.structs.replace(account)
            refill(spare, at, state.charter)
            if spare.tokens < 1:
                self.costs.held_back += 1
                continue
            subject = Subject(self.category, [seat.area], None, day - 1, 2, "actual")
            envelope = seat.chain.submit(name, [Submit(self.kind, None, subject, None, None)], at)
            report = Report(seat.network, agency, message_id(envelope.digest, 0), at, int(self.counts[agency, column]))
            self.reports[report.message] = self._last[agency] = report
            self.costs.reports += 1
            self.costs.envelopes += 1

    @staticmethod
    def _again(last: Report, count: int, day: int) -> bool:
        if last.state in ("open", "endorsed", "recorded"):
            return False
        return count > last.count or day - day_of(last.opened) >= PATIENCE_DAYS

    def _ballots(self, seat: Seat, day: int, column: int, at: int) -> None:
        """Endorse the morning one sees; at the end of the window reject, or abstain on old data (replay 10)."""
        state = seat.chain.state
        names = self.knowledge.archive.agencies
        waiting: dict[str, list[Judge]] = {}
        for message in state.messages.values():
            if message.state != "open" or message.vote_ends is None or message.vote_ends <= at:
                continue
            closing = at + DAY_MS >= message.vote_ends
            for agency in seat.agencies:
                name = names[agency].id
                if name in message.ballots or name == message.author:
                    continue
                if self.sees[agency, column]:
                    verdict: Verdict = "endorse"
                elif not closing:
                    continue
                else:
                    through = self.knowledge.data_through(agency, day)
                    verdict = "reject" if through is not None and day - through <= STALE_DAYS + 1 else "abstain"
                waiting.setdefault(name, []).append(_ballot(message.id, verdict, day))
            if self._veto is not None and self._veto(seat.network, message, day):
                seat.chain.submit("bureau", [VetoAct(message.id, "not-borne-out", None)], at)
        for name, acts in waiting.items():
            seat.chain.submit(name, acts, at)
            self.costs.ballots += len(acts)
            self.costs.envelopes += 1

    def _above(self, network: int, day: int, column: int, at: int) -> None:
        """Bureaus vote on relayed reports by what their own territory sees; the centre moves the stage."""
        chain = self.upper[network]
        rule_members = self.children.get(network, {})
        waiting: dict[str, list[Judge]] = {}
        for message in chain.state.messages.values():
            if message.state != "open" or message.vote_ends is None or message.vote_ends <= at:
                continue
            closing = at + DAY_MS >= message.vote_ends
            for name in message.electorate:
                if name in message.ballots:
                    continue
                motion = message.kind.startswith("motion.")
                seeing = bool(self.sees[list(rule_members[name]), column].any()) if name in rule_members else False
                if motion or seeing:
                    waiting.setdefault(name, []).append(_ballot(message.id, "endorse", day))
                elif closing and name in rule_members:
                    waiting.setdefault(name, []).append(_ballot(message.id, "reject", day))
        for name, acts in waiting.items():
            chain.submit(name, acts, at)
            self.costs.ballots += len(acts)
            self.costs.envelopes += 1
        pending, self._opened_up = [one for one in self._opened_up if one[0] == network], [
            one for one in self._opened_up if one[0] != network
        ]
        for _, incident in pending:
            row = chain.state.incidents.get(incident)
            if row is not None and row.stage == "watch":
                chain.submit(self.centre, [Submit("motion.stage", incident, None, StageMotion("watch", "alert"), None)], at)
                self.costs.envelopes += 1

    def _follow(self, network: int, outcome: Outcome) -> None:
        for data in outcome.leaves[:-1]:
            if b'"leaf":"opened"' in data[:20] and network not in self.upper:
                continue
            leaf = _decode(data)
            if isinstance(leaf, Final):
                self._ended(network, leaf)
            elif isinstance(leaf, IncidentLeaf) and leaf.change == "opened" and network in self.upper:
                self._opened_up.append((network, leaf.id))
            elif isinstance(leaf, Opened):
                continue

    def _ended(self, network: int, leaf: Final) -> None:
        state = type(leaf).__name__.lower()
        if leaf.id in self.reports:
            report = self.reports[leaf.id]
            report.state, report.final, report.incident = state, leaf.at, leaf.incident
            report.endorsers = sum(1 for one in leaf.ballots if one.verdict == "endorse")
            self.costs.endings[state] += 1
        elif network in self.upper and leaf.source is not None and leaf.kind.startswith("relayed.report."):
            source = self.reports.get(leaf.source.original.id)
            if source is not None:
                source.national, source.national_at = state, leaf.at


def _ballot(message: str, verdict: Verdict, day: int) -> Judge:
    return Judge(message, verdict, "data-late" if verdict == "abstain" else None, "judge", day - 1, None)
