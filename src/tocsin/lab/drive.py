"""The day loop of a replay: what agencies, bureaus and the centre do each morning (replay 8 to 12).

Nothing here knows the truth: the actors see `Knowledge`, each agency its own row, and their networks' states.
Block time is 08:00 of the archive's own calendar, taken as UTC, and each deadline in between; what follows from a
block at once, a relay or a supervisor's answer, stands in a further block at the same time.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.judges.port import ReportSummary, Verdict
from tocsin.kernel.acts import Act, Concur, Judge, StageMotion, Subject, Submit, VetoAct
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import message_id
from tocsin.kernel.leaves import AnyLeaf, Final, IncidentLeaf, Relayed
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Message
from tocsin.kernel.state import State
from tocsin.kernel.tokens import refilled
from tocsin.lab.chain import Chain, Hosted
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Plan, area_of, below, category_of, kind_of
from tocsin.lab.supervisors import VETO_CODE, Silent, Supervisor, Watched
from tocsin.lab.voters import SeeingVoters, Voters

__all__ = ["DAY_MS", "PATIENCE_DAYS", "Cast", "Costs", "Drive", "Report", "day_at", "morning"]

DAY_MS = 86_400_000
MORNING_MS = 8 * 3_600_000
PATIENCE_DAYS = 14
"""After this long still seeing, a report that was not recorded is made again (replay 9)."""
SEVERITY = 2
NEVER = 2**62

Evening = Callable[[int, int], None]
"""(day, block time): acts after the morning's blocks, for example findings."""

_decode = msgspec.json.Decoder(AnyLeaf).decode
_FINAL = (b"recorded", b"rejected", b"vetoed", b"lapsed", b"void")
_FOLLOWED = (*_FINAL, b"incident", b"relayed")
_TAG = len(b'{"leaf":"')


def morning(day: int) -> int:
    """Block time of a day's round, ms."""
    return day * DAY_MS + MORNING_MS


def day_at(at: int) -> int:
    """The day of a block time."""
    return at // DAY_MS


@dataclass(slots=True)
class Report:
    """A report of an agency, as the replay follows it. Times are block times in ms; `network` and `agency` index the
    archive; `count`: what the agency knew when it reported; `asked`: agencies that may judge it; `above`: what became
    of it in the networks above, by index; `national`: in the topmost."""

    network: int
    agency: int
    message: str
    opened: int
    count: int
    asked: int = 0
    state: str = "open"
    final: int | None = None
    incident: str | None = None
    endorsers: int = 0
    above: dict[int, tuple[str, int]] = field(default_factory=dict)
    national: str | None = None
    national_at: int | None = None


class Cast(NamedTuple):
    """A ballot of an agency on the morning of `day`."""

    day: int
    agency: int
    message: str
    verdict: Verdict


@dataclass(slots=True)
class Costs:
    """What the networks' people did, over the whole run. `held_back`: (day, agency) of reports that an empty token
    bucket held back, each once; `refused`: acts that a network refused, by reason."""

    envelopes: int = 0
    ballots: int = 0
    held_back: list[tuple[int, int]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class _Open(NamedTuple):
    summary: ReportSummary
    waiting: list[int]


class Drive:
    """Runs mornings over the networks of `hosted`: those with agencies and, where hosted, those above them."""

    def __init__(
        self,
        knowledge: Knowledge,
        built: Mapping[int, Plan],
        hosted: Hosted,
        *,
        cases: int,
        window: int = 14,
        voters: Voters | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        archive = knowledge.archive
        self.knowledge = knowledge
        self.built = built
        self.counts: NDArray[np.int32] = knowledge.window(window)
        self.sees: NDArray[np.bool_] = self.counts >= cases
        self.reports: dict[str, Report] = {}
        self.ended: list[Report] = []
        """Reports of agencies in the order in which they became final."""
        self.cast: list[Cast] = []
        self.costs = Costs()
        self.chains: dict[int, Chain] = dict(hosted.chains)
        self.leaves = tuple(one for one in self.chains if archive.members_of(one))
        self.top = next((one for one in self.chains if built[one].parent is None), None)
        self._names = [agency.id for agency in archive.agencies]
        self._index = {name: place for place, name in enumerate(self._names)}
        self._kind, self._category = kind_of(archive), category_of(archive)
        self._areas = {one: area_of(archive, one) for one in self.leaves}
        self._seats = {
            one: {archive.networks[child].id: list(below(archive, child)) for child in built[one].children}
            for one in self.chains
            if one not in self._areas
        }
        self._voters = SeeingVoters(knowledge, self.sees) if voters is None else voters
        self._supervisor = Silent() if supervisor is None else supervisor
        self._supervised = not isinstance(self._supervisor, Silent)
        self._carry = hosted.carry
        self._due = {one: self._deadline(one) for one in self.chains}
        self._last: dict[int, Report] = {}
        self._wishes: dict[int, dict[int, bool]] = {one: {} for one in self.leaves}
        self._unheard: dict[int, dict[int, Report]] = {one: {} for one in self.leaves}
        self._open: dict[int, dict[str, _Open]] = {one: {} for one in self.leaves}
        self._fresh: list[Report] = []
        self._unasked: list[Report] = []
        self._raised: list[str] = []

    # The calendar.

    def run(
        self, first: int, last: int, progress: Callable[[int], None] | None = None, evening: Evening | None = None
    ) -> None:
        """Every morning from `first` to `last`, both included. Who sees on the first morning reports on it."""
        edges = self._rising(first, last)
        for day in range(first, last + 1):
            while (soonest := min(self._due.values())) < morning(day):
                self._blocks(soonest)
            for agency in edges.get(day, ()):
                self._wishes[self.knowledge.archive.agencies[agency].network][agency] = False
            self._round(day)
            self._blocks(morning(day))
            while self._answer(day):
                self._blocks(morning(day))
            if evening is not None:
                evening(day, morning(day))
                self._blocks(morning(day))
            if progress is not None:
                progress(day)

    def _rising(self, first: int, last: int) -> dict[int, list[int]]:
        begin, end = self.knowledge.column(first), self.knowledge.column(last) + 1
        part = self.sees[:, begin:end]
        rising = part.copy()
        rising[:, 1:] &= ~part[:, :-1]
        homes = self.knowledge.archive.agency_network
        rising &= np.isin(homes, self.leaves)[:, np.newaxis]
        edges: dict[int, list[int]] = {}
        for column, agency in zip(*(one.tolist() for one in np.nonzero(rising.T)), strict=True):
            edges.setdefault(first + column, []).append(agency)
        return edges

    def _deadline(self, network: int) -> int:
        due = self.chains[network].state.next_deadline()
        return NEVER if due is None else due

    def _blocks(self, at: int) -> None:
        """A block of each network that has something to do at `at`, then what follows from it, until nothing does."""
        moved = True
        while moved:
            moved = False
            for network, chain in self.chains.items():
                if chain.waiting or self._due[network] <= at:
                    outcome = chain.make_block(at)
                    self._due[network] = self._deadline(network)
                    if outcome is not None:
                        moved = True
                        self._follow(network, outcome)
            if moved:
                self._carry(at)
                if self._supervised:
                    self._oversee(at, only_endorsed=True)

    # What people do on a morning.

    def _round(self, day: int) -> None:
        column, at = self.knowledge.column(day), morning(day)
        for network in self.leaves:
            if self._open[network] or self._wishes[network] or self._unheard[network]:
                self._agencies(network, day, column, at)
        for network in self._seats:
            if self.chains[network].state.messages:
                self._bureaus(network, day, column, at)
        raised, self._raised = self._raised, []
        for incident in raised:
            self._raise(incident, at)
        if self._supervised:
            self._oversee(at, only_endorsed=False)

    def _agencies(self, network: int, day: int, column: int, at: int) -> None:
        """Reports, then ballots; an agency signs one envelope a morning."""
        chain = self.chains[network]
        acts: dict[int, list[Act]] = {}
        wanted = self._wanted(network, day, column, chain.state)
        for agency in wanted:
            subject = Subject(self._category, [self._areas[network]], None, day - 1, SEVERITY, "actual")
            acts[agency] = [Submit(self._kind, None, subject, None, None)]
        for message in self._open[network]:
            self._judge(network, message, day, acts)
        for agency, signed in acts.items():
            envelope = chain.submit(self._names[agency], signed, at)
            if agency in wanted:
                name = message_id(envelope.digest, 0)
                made = Report(network, agency, name, at, int(self.counts[agency, column]))
                self.reports[name] = self._last[agency] = made
                self._fresh.append(made)

    def _judge(self, network: int, message: str, day: int, acts: dict[int, list[Act]]) -> None:
        """Add the ballots that are cast on a message this morning to what each agency signs."""
        report = self._open[network][message]
        if day > report.summary.closes_day or not report.waiting:
            return
        for agency, verdict, code, through in self._voters.say(report.waiting, report.summary, day):
            acts.setdefault(agency, []).append(Judge(message, verdict, code, "judge", through, None))
            report.waiting.remove(agency)
            self.cast.append(Cast(day, agency, message, verdict))

    def _answer(self, day: int) -> bool:
        """What was opened this very morning is judged in a further block; whether anybody said anything."""
        at = morning(day)
        unasked, self._unasked = self._unasked, []
        acts: dict[int, dict[int, list[Act]]] = {}
        for report in unasked:
            if report.message in self._open[report.network] and day_at(report.opened) == day:
                self._judge(report.network, report.message, day, acts.setdefault(report.network, {}))
        for network, signed in acts.items():
            for agency, ballots in signed.items():
                self.chains[network].submit(self._names[agency], ballots, at)
        for network in self._seats:
            if self.chains[network].state.messages:
                self._bureaus(network, day, self.knowledge.column(day), at)
        return any(chain.waiting for chain in self.chains.values())

    def _wanted(self, network: int, day: int, column: int, state: State) -> list[int]:
        """Who reports this morning: on the rising edge; after a report that came to nothing when the own count has
        grown or the patience ends; and whoever an empty bucket held back, as soon as a token is there (replay 9)."""
        wishes, unheard = self._wishes[network], self._unheard[network]
        wanted: list[int] = []
        for agency in sorted(wishes.keys() | unheard.keys()):
            if not self.sees[agency, column]:
                wishes.pop(agency, None)
                unheard.pop(agency, None)
                continue
            last = self._last.get(agency)
            if last is not None and last.state in ("open", "endorsed"):
                wishes.pop(agency, None)
                continue
            if agency not in wishes:
                past = unheard[agency]
                grown = int(self.counts[agency, column]) > past.count
                if not grown and day - day_at(past.opened) < PATIENCE_DAYS:
                    continue
                wishes[agency] = False
            if not self._has_token(state, agency, morning(day)):
                if not wishes[agency]:
                    self.costs.held_back.append((day, agency))
                wishes[agency] = True
                continue
            del wishes[agency]
            unheard.pop(agency, None)
            wanted.append(agency)
        return wanted

    def _has_token(self, state: State, agency: int, at: int) -> bool:
        tokens, _ = refilled(state.accounts[self._names[agency]], at, state.charter)
        return tokens > 0

    def _bureaus(self, network: int, day: int, column: int, at: int) -> None:
        """Bureaus endorse a relayed report if one of their agencies sees, and every scripted motion (replay 12)."""
        chain, territories = self.chains[network], self._seats[network]
        acts: dict[str, list[Act]] = {}
        for message in chain.state.messages.values():
            if message.state != "open" or message.vote_ends is None or message.vote_ends <= at:
                continue
            for name in message.electorate:
                if name in message.ballots:
                    continue
                if message.kind.startswith("motion."):
                    acts.setdefault(name, []).append(Judge(message.id, "endorse", None, "officer", None, None))
                elif name in territories:
                    said = self._territory(message, territories[name], day, column)
                    acts.setdefault(name, []).extend(said)
        for name, signed in acts.items():
            if signed:
                chain.submit(name, signed, at)

    def _territory(self, message: Message, agencies: Sequence[int], day: int, column: int) -> list[Act]:
        if self.sees[agencies, column].any():
            return [Judge(message.id, "endorse", None, "judge", day - 1, None)]
        if day < _closes(message):
            return []
        summary = _summary(message)
        last = [one.verdict for one in self._voters.say(agencies, summary, summary.closes_day)]
        if all(verdict == "abstain" for verdict in last):
            return [Judge(message.id, "abstain", "data-late", "judge", None, None)]
        return [Judge(message.id, "reject", None, "judge", day - 1, None)]

    def _raise(self, incident: str, at: int) -> None:
        """The centre moves a nation's incident from watch to alert on the morning after its record."""
        if self.top is None:
            return
        chain = self.chains[self.top]
        row = chain.state.incidents.get(incident)
        if row is not None and row.stage == "watch":
            motion = Submit("motion.stage", incident, None, StageMotion("watch", "alert"), None)
            chain.submit(self.built[self.top].office, [motion], at)

    def _oversee(self, at: int, *, only_endorsed: bool) -> None:
        for network, chain in self.chains.items():
            office = self.built[network].office
            for message in chain.state.messages.values():
                if office not in message.eligible or office in message.concurred:
                    continue
                if only_endorsed and message.state != "endorsed":
                    continue
                origin = message.id if message.source is None else message.source.original.id
                report = self.reports.get(origin)
                if report is None:
                    continue
                ends = message.veto_ends if message.state == "endorsed" else message.vote_ends
                if ends is not None and ends <= at:
                    continue
                watched = Watched(
                    network, report.network, report.agency, day_at(message.opened), message.state == "endorsed"
                )
                step = self._supervisor.step(watched, day_at(at))
                if step == "veto":
                    chain.submit(office, [VetoAct(message.id, VETO_CODE, None)], at)
                elif step == "concur":
                    chain.submit(office, [Concur(message.id)], at)

    # What came of it.

    def _follow(self, network: int, outcome: Outcome) -> None:
        if outcome.dropped:
            reasons = ", ".join(sorted({reason.name for _, reason in outcome.dropped}))
            raise RuntimeError(f"A network of the replay took {len(outcome.dropped)} envelopes not at all: {reasons}.")
        self.costs.envelopes += len(outcome.consumed)
        for envelope, codes in zip(outcome.consumed, outcome.receipts, strict=True):
            self.costs.ballots += sum(isinstance(act, Judge) for act in envelope.acts)
            for place, code in enumerate(codes):
                if code:
                    self.costs.refused[Reason(code).name] += 1
                    refused = self.reports.get(message_id(envelope.digest, place))
                    if refused is not None:
                        self._end(refused, "refused", outcome.at)
        for data in outcome.leaves[:-1]:
            tag = data[_TAG : data.index(b'"', _TAG)]
            if tag in (_FINAL if network in self._areas else _FOLLOWED):
                self._take(network, _decode(data))
        if network in self._areas:
            self._opened(network, self.chains[network].state)

    def _opened(self, network: int, state: State) -> None:
        """Note who may judge what was opened in this network's block."""
        fresh, self._fresh = self._fresh, []
        for report in fresh:
            if report.network != network:
                self._fresh.append(report)
                continue
            message = state.messages.get(report.message)
            if message is not None and message.state == "open":
                waiting = [self._index[name] for name in message.electorate if name in self._index]
                report.asked = len(waiting)
                self._open[network][message.id] = _Open(_summary(message), waiting)
                self._unasked.append(report)

    def _take(self, network: int, leaf: AnyLeaf) -> None:
        if isinstance(leaf, Final):
            state = type(leaf).__name__.lower()
            own = self.reports.get(leaf.id)
            if own is not None:
                own.incident = leaf.incident
                own.endorsers = sum(1 for one in leaf.ballots if one.verdict == "endorse" and not one.late)
                self._end(own, state, leaf.at)
            elif leaf.source is not None and leaf.kind.startswith("relayed.report."):
                self._above(network, self.reports.get(leaf.source.original.id), state, leaf.at)
        elif isinstance(leaf, IncidentLeaf):
            if leaf.change == "opened" and network == self.top:
                self._raised.append(leaf.id)
        elif isinstance(leaf, Relayed) and leaf.code:
            self.costs.refused[Reason(leaf.code).name] += 1
            if leaf.source is not None:
                self._above(network, self.reports.get(leaf.source.original.id), "refused", leaf.at)

    def _end(self, report: Report, state: str, at: int) -> None:
        report.state, report.final = state, at
        self._open[report.network].pop(report.message, None)
        if state != "recorded":
            self._unheard[report.network][report.agency] = report
        elif self.top == report.network:
            report.national, report.national_at = state, at
        self.ended.append(report)

    def _above(self, network: int, report: Report | None, state: str, at: int) -> None:
        if report is not None:
            report.above[network] = (state, at)
            if network == self.top:
                report.national, report.national_at = state, at


def _closes(message: Message) -> int:
    """The day of the last morning before a message's deadline (replay 0)."""
    assert message.vote_ends is not None
    return (message.vote_ends - 1 - MORNING_MS) // DAY_MS


def _summary(message: Message) -> ReportSummary:
    subject = message.subject
    assert subject is not None
    return ReportSummary(
        message.kind, subject.category, tuple(subject.areas), subject.onset_day, subject.detected_day,
        day_at(message.opened), _closes(message),
    )  # fmt: skip
