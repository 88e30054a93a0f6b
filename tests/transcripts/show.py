"""Outcomes as lines for a reader: one line a receipt, a leaf and a change, with every field that decides something."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from tests.transcripts.world import START, Network, Result
from tocsin.kernel import acts, leaves, rows
from tocsin.kernel.charter_form import label
from tocsin.kernel.reasons import Reason, sentence

WIDTH = 116
UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def moment(at: int | None) -> str:
    """A block time as time since the scenario's beginning."""
    return "never" if at is None else span(at - START)


def span(length: int) -> str:
    """A length of time in ms, for example `3d4h`."""
    sign, left, parts = "-" if length < 0 else "", abs(length), []
    for unit, size in UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return sign + ("".join(parts) or "0h")


def named(names: Sequence[str]) -> str:
    return ",".join(names) or "nobody"


class Shower:
    """Writes outcomes with the names that the script gave: hex -> name."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.networks: dict[str, Network] = {}

    def id(self, hexed: str | None) -> str:
        return "none" if hexed is None else self.names.get(hexed, hexed[:8])

    def who(self, network: Network, name: str | None) -> str:
        """A member, or the peer that sent something."""
        if name is None:
            return "nobody"
        return network.shown.get(name) or self.place(name)

    def all(self, network: Network, names: Sequence[str]) -> str:
        return named([self.who(network, name) for name in names])

    def place(self, origin: str) -> str:
        """A network by its origin."""
        return next((name for name, one in self.networks.items() if one.origin == origin), origin)

    def by_genesis(self, genesis: str) -> str:
        return next((name for name, one in self.networks.items() if one.genesis == genesis), genesis[:8])

    def to(self, to: Sequence[tuple[str, int]]) -> str:
        return "".join(f"; goes to {self.place(origin)} as #{number}" for origin, number in to)

    # Blocks.

    def block(self, result: Result) -> Iterator[str]:
        """What a block did, folded to the width of a page."""
        for line in self._block(result):
            indent = " " * (len(line) - len(line.lstrip()) + 4)
            yield from wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

    def _block(self, result: Result) -> Iterator[str]:
        network, outcome = result.network, result.outcome
        if not outcome.changed and not result.queue:
            yield f"{network.name}: nothing to do, no block"
            return
        head = f"{network.name} block {outcome.height} at {moment(outcome.at)}"
        yield head if outcome.changed else f"{network.name}: no block, for nothing may be in it"
        yield from self._receipts(result)
        for leaf in result.leaves:
            yield f"  {self.leaf(network, leaf)}"
        yield from self._changes(result)

    def _receipts(self, result: Result) -> Iterator[str]:
        codes = iter(result.outcome.receipts)
        dropped = dict(result.outcome.dropped)
        for position, queued in enumerate(result.queue):
            if position in dropped:
                reason = dropped[position]
                for line in queued.lines:
                    yield f"  ! {line}: not admitted, {int(reason)} {reason.name}: {sentence(reason)}"
                continue
            for line, code in zip(queued.lines, next(codes), strict=True):
                answer = f"refused, {code} {Reason(code).name}: {sentence(code)}" if code else "accepted"
                yield f"  {'!' if code else '-'} {line}: {answer}"

    def _changes(self, result: Result) -> Iterator[str]:
        network, changes = result.network, result.outcome.changes
        opened = {leaf.id for leaf in result.leaves if isinstance(leaf, leaves.Opened)}
        for name in sorted(changes.get("message", {}), key=self.id):
            row = changes["message"][name]
            if row is not None and (name not in opened or row.ballots or row.state != "open"):
                yield f"  now {self._live(network, row)}"
        for name in sorted(changes.get("order", {}), key=self.id):
            row = changes["order"][name]
            if row is not None:
                yield f"  now {self.id(name)}: {self._answers(network, list(row.answers.values())) or 'no answers yet'}"
        for name in sorted(changes.get("incident", {}), key=self.id):
            row, old = changes["incident"][name], result.before["incident"].get(name)
            if row is not None and row.up is not None and (old is None or old.up != row.up):
                up = row.up
                yield f"  now {self.id(name)}: went up as {self.id(up.message)}, outcome {up.outcome or 'awaited'}"
        for name in sorted(changes.get("peer", {})):
            row = changes["peer"][name]
            if row is not None:
                yield (
                    f"  now peer {self.place(name)}: {row.state}, pinned at {row.entry.size} in epoch "
                    f"{row.entry.epoch}, next in #{row.next_in}, next out #{row.next_out}"
                )
        for name, row in sorted(changes.get("handover", {}).items()):
            yield f"  now roster leaf {name}: " + ("waited for no longer" if row is None else f"unsealed, until {moment(row.until)}")
        for row in changes.get("upgrade", {}).values():
            if row is not None:
                yield f"  now protocol {row.protocol}: ready are {self.all(network, row.ready) or 'none'}"
        if "meta" in changes and result.before and changes["meta"][""].protocol != result.before["meta"][""].protocol:
            yield f"  now protocol {changes['meta'][''].protocol} is in force from the next block on"
        yield from self._balances(result)

    def _live(self, network: Network, row: rows.Message) -> str:
        parts = [f"{self.id(row.id)}: {row.state}", self.ballots(network, list(row.ballots.values()))]
        if row.concurred:
            parts.append(f"{self.all(network, row.concurred)} concurred")
        if row.state == "open":
            until = " until sealed" if row.vote_ends is None else f" until {moment(row.vote_ends)}"
            parts.append(f"needs {row.need} of {row.size}{until}")
            parts.append("moved by an outage" if row.vote_moved else "")
        else:
            parts.append(f"may be vetoed by {self.all(network, row.eligible)} until {moment(row.veto_ends)}")
            parts.append("moved by an outage" if row.veto_moved else "")
        return "; ".join(part for part in parts if part)

    def _balances(self, result: Result) -> Iterator[str]:
        if not result.before:
            return
        before, changed = result.before["account"], result.outcome.changes.get("account", {})
        for name in sorted(changed):
            old, new, parts = before.get(name), changed[name], []
            for field in ("tokens", "credits", "stains", "missed"):
                was = getattr(old, field) if old is not None else None
                value = getattr(new, field)
                if was != value and not (was is None and value == 0):
                    parts.append(f"{field} {value}" if was is None else f"{field} {was} -> {value}")
            if parts:
                yield f"  balance {self.who(result.network, name)}: {', '.join(parts)}"

    # Parts of leaves.

    def ballots(self, network: Network, ballots: Sequence[leaves.Ballot]) -> str:
        return ", ".join(
            f"{self.who(network, one.member)} {one.verdict}s"
            + (f" ({one.code})" if one.code else "")
            + (" by judge" if one.by == "judge" else "")
            + (" late" if one.late else "")
            for one in ballots
        )

    def _answers(self, network: Network, answers: Sequence[leaves.OrderAnswer]) -> str:
        said = []
        for one in answers:
            what = one.answer or ("received" if one.received is not None else "silent")
            said.append(
                f"{self.who(network, one.member)} {what}"
                + (f" ({one.code})" if one.code else "")
                + (" late" if one.late else "")
            )
        return ", ".join(said)

    def source(self, source: leaves.Source | None) -> str:
        if source is None:
            return ""
        path = " > ".join(self.by_genesis(one) for one in source.path)
        original = f"{self.id(source.original.id)} of {self.by_genesis(source.original.genesis)}"
        return f"; from {path} as #{source.number}, originally {original}, endorsers there {source.endorsers}"

    def subject(self, subject: acts.Subject | None) -> str:
        if subject is None:
            return ""
        onset = "" if subject.onset_day is None else f", onset day {_day(subject.onset_day)}"
        return (
            f"; {subject.category} in {','.join(subject.areas)}, severity {subject.severity}{onset}, "
            f"detected day {_day(subject.detected_day)}"
        )

    def terms(self, network: Network, terms: acts.Terms | None) -> str:
        match terms:
            case None:
                return ""
            case acts.Share():
                said = f"{self.id(terms.record)} to {self.place(terms.peer)}"
            case acts.StageMotion():
                said = f"{terms.base} -> {terms.to}"
            case acts.LeadMotion():
                base = "vacant" if terms.base is None else self.who(network, terms.base)
                said = f"{terms.do}, base {base}"
            case acts.FeaturesMotion():
                said = f"{terms.category} in {','.join(terms.areas)}, severity {terms.severity}"
            case acts.CloseMotion():
                said = f"from {terms.base}" + (f" as duplicate of {self.id(terms.duplicate_of)}" if terms.duplicate_of
                                               else "")  # fmt: skip
            case acts.AdmitMotion():
                said = f"{self.who(network, terms.member)} ({terms.entity}) as {' '.join(terms.roles)}"
                said += f", proofs until {moment(terms.expires)}"
            case acts.SuspendMotion():
                said = f"{self.who(network, terms.member)} for {span(terms.duration_s * 1000)}"
            case acts.ReinstateMotion() | acts.ExpelMotion():
                said = f"{self.who(network, terms.member)}, base {terms.base.status}"
            case acts.RolesMotion():
                said = f"{self.who(network, terms.member)} from {' '.join(terms.base.roles)} to {' '.join(terms.roles)}"
            case acts.RekeyMotion():
                said = f"{self.who(network, terms.member)}, proofs until {moment(terms.expires)}"
            case acts.PeerMotion():
                said = f"{terms.do} {self.place(terms.origin)}{self.entry(network, terms.entry)}"
            case acts.CharterMotion():
                said = f"from {self.id(terms.base)} to {self.id(terms.charter.digest)}"
            case acts.UpgradeMotion():
                said = f"to protocol {terms.protocol}"
            case acts.Order():
                said = f"to {self.all(network, terms.to)}, due {moment(terms.due)}, expires {moment(terms.expires)}"
                said += f", replaces {self.id(terms.replaces)}" if terms.replaces else ""
            case acts.Revoke():
                said = f"of {self.id(terms.order)}"
            case acts.Finding():
                said = f"on {self.id(terms.target)}: {terms.verdict} ({terms.evidence_class})"
            case acts.Review():
                said = f"of {self.id(terms.finding)} on {self.id(terms.target)}: {terms.verdict} "
                said += f"({terms.evidence_class})"
            case acts.OutcomeTerms():
                said = f"{self.id(terms.message)} {terms.state}"
                said += f" by {terms.code} {Reason(terms.code).name}" if terms.code else ""
            case acts.NoteTerms():
                said = f"{terms.by} of the sender says {terms.note} on {self.id(terms.message)}"
            case acts.ReceiptsTerms():
                said = f"of {self.id(terms.message)}: {terms.addressees} addressees, {terms.done} done, "
                said += f"{terms.cannot} cannot"
        return f"; {said}"

    def entry(self, network: Network, entry: acts.PeerEntry | None) -> str:
        if entry is None:
            return ""
        quota = entry.quota
        return (
            f" as {entry.relation}, represented by {self.who(network, entry.represented_by)}, pinned at {entry.size} "
            f"in epoch {entry.epoch}, {quota.per_week} a week, min_endorsers {quota.min_endorsers}, "
            f"at most {span(quota.max_age_s * 1000)} old"
        )

    # Leaves.

    def leaf(self, network: Network, leaf: leaves.AnyLeaf) -> str:
        match leaf:
            case leaves.GenesisLeaf():
                return f"genesis: {leaf.origin}, protocol {leaf.protocol}"
            case leaves.CharterLeaf():
                cause = "" if leaf.cause is None else f", by {self.id(leaf.cause)}"
                return f"charter: {self.id(leaf.digest)}{cause}"
            case leaves.RosterLeaf():
                return f"roster of epoch {leaf.epoch}: " + "; ".join(self._member(network, one) for one in leaf.members)
            case leaves.Opened():
                return self._opened(network, leaf)
            case leaves.Final():
                return self._final(network, leaf)
            case leaves.IncidentLeaf():
                return self._incident(network, leaf)
            case leaves.Annotated():
                return (
                    f"annotated: {self.who(network, leaf.by)} says {leaf.note} on {self.id(leaf.id)}"
                    f" (originally {self.id(leaf.original.id)}){self.to(leaf.to)}"
                )
            case leaves.OrderReceipts():
                return (
                    f"order_receipts of {self.id(leaf.order)}, {leaf.cause}: {self._answers(network, leaf.answers)}"
                    f"{self.source(leaf.source)}{self.to(leaf.to)}"
                )
            case leaves.FindingLeaf():
                return self._finding(network, leaf)
            case leaves.Settled():
                posts = [f"{self.who(network, p.member)} {p.amount:+} as {p.part}" for p in leaf.posts]
                marks = [f"stain on {self.who(network, s.member)} as {s.part}" for s in leaf.stains]
                marks += [f"stain on {self.who(network, s.member)} as {s.part} annulled" for s in leaf.annulled]
                return f"settled: {self.id(leaf.target)} by {self.id(leaf.finding)}: {', '.join(posts + marks)}"
            case leaves.Relayed():
                code = "accepted" if leaf.code == 0 else f"refused, {leaf.code} {Reason(leaf.code).name}"
                made = "" if leaf.id is None else f" as {self.id(leaf.id)}"
                return (
                    f"relayed: {self.place(leaf.peer)} #{leaf.number} {code}{made}, carried by "
                    f"{self.who(network, leaf.carrier)}{self.source(leaf.source)}{self.to(leaf.to)}"
                )
            case leaves.Overdue():
                return f"overdue: no answer from {self.place(leaf.peer)} to #{leaf.number}, {self.id(leaf.message)}"
            case leaves.PeerLeaf():
                cause = "" if leaf.cause is None else f", by {self.id(leaf.cause)}"
                return f"peer: {self.place(leaf.origin)} {leaf.state}{self.entry(network, leaf.entry)}{cause}"
            case leaves.EvidenceLeaf():
                frozen = "; the peer is frozen" if leaf.frozen else ""
                frozen += f"; suspended {self.all(network, leaf.suspended)}" if leaf.suspended else ""
                return (
                    f"evidence: {self.all(self.networks[self.place(leaf.origin)], leaf.members)} of {self.place(leaf.origin)} "
                    f"signed two histories, with {len(leaf.signers)} keys; shown by {self.who(network, leaf.by or '')}{frozen}"
                )
            case leaves.Erased():
                return f"erased: {leaf.what} by {self.who(network, leaf.by)} for {self.id(leaf.id)}"
            case leaves.BlockLeaf():
                number = "" if leaf.protocol == 1 else f", protocol {leaf.protocol}"
                return f"block {leaf.height}: epoch {leaf.epoch}, envelopes {leaf.envelopes}{number}"

    def _member(self, network: Network, one: leaves.RosterMember) -> str:
        status = "" if one.status == "active" else f" {one.status}"
        until = "" if one.until is None else f" until {moment(one.until)}"
        keys = [
            self.id(key).rpartition(".")[2] for key in one.keys.all() if not self.id(key).endswith(("root", "act",
                                                                                                  "finality"))
        ]  # fmt: skip
        changed = f" with keys {','.join(keys)}" if keys else ""
        joined = " not joined" if one.status == "active" and not one.joined else ""
        return f"{self.who(network, one.id)} {' '.join(one.roles)}{status}{until}{joined}{changed}"

    def _opened(self, network: Network, leaf: leaves.Opened) -> str:
        status = "" if leaf.status == "actual" else f" {leaf.status}"
        text = f"opened: {self.id(leaf.id)}{status} {leaf.kind} by {self.who(network, leaf.author)}"
        text += f" under {label(leaf.rule)} in stage {leaf.stage}"
        text += "" if leaf.incident is None else f", names {self.id(leaf.incident)}"
        text += "" if leaf.joins is None else f", with {self.id(leaf.joins)}"
        text += self.subject(leaf.subject) + self.terms(network, leaf.terms) + self.source(leaf.source)
        if leaf.rule.threshold is None:
            text += "; no ballots"
        else:
            text += f"; electorate {self.all(network, leaf.electorate)}, needs {leaf.need} of {leaf.size}"
            text += f" until {moment(leaf.ends)}"
        text += "" if leaf.notice is None else f", not before {moment(leaf.notice)}"
        if leaf.rule.veto is not None:
            text += f"; {self.all(network, leaf.eligible)} may veto"
        return text + self.to(leaf.to)

    def _final(self, network: Network, leaf: leaves.Final) -> str:
        state = type(leaf).__name__.lower()
        status = "" if leaf.status == "actual" else f" {leaf.status}"
        text = f"{state}: {self.id(leaf.id)}{status} {leaf.kind} by {self.who(network, leaf.author)}"
        if leaf.by is not None and state == "vetoed":
            text += f", vetoed by {self.who(network, leaf.by)} ({leaf.code})"
        text += "" if leaf.incident is None else f"; incident {self.id(leaf.incident)}"
        if leaf.rule.model == "broadcast":
            text += f"; under {label(leaf.rule)} in stage {leaf.stage}" + self.subject(leaf.subject)
        text += self.terms(network, leaf.terms)
        if leaf.rule.threshold is not None:
            text += f"; {self.ballots(network, leaf.ballots) or 'no ballots'}; needed {leaf.need} of {leaf.size}"
        if leaf.vetoers:
            text += f"; {self.all(network, leaf.vetoers)} concurred"
        return text + self.source(leaf.source) + self.to(leaf.to)

    def _incident(self, network: Network, leaf: leaves.IncidentLeaf) -> str:
        status = "" if leaf.status == "actual" else f" {leaf.status}"
        text = f"incident: {self.id(leaf.id)}{status} {leaf.change}, stage {leaf.stage}"
        text += f", lead {self.who(network, leaf.lead)}"
        text += "" if leaf.lead_until is None else f" until {moment(leaf.lead_until)}"
        text += f"; {leaf.category} in {','.join(leaf.areas)}, severity {leaf.severity}"
        text += "" if leaf.duplicate_of is None else f"; duplicate of {self.id(leaf.duplicate_of)}"
        return text + ("" if leaf.cause is None else f"; by {self.id(leaf.cause)}")

    def _finding(self, network: Network, leaf: leaves.FindingLeaf) -> str:
        text = f"finding: {self.id(leaf.id)}{' (review)' if leaf.review else ''} by {self.who(network, leaf.by)}: "
        text += f"{self.id(leaf.target)} {leaf.verdict} ({leaf.evidence_class})"
        text += "" if leaf.counts else "; only a note"
        text += "; the veto is overturned" if leaf.overturned else ""
        return text + self.to(leaf.to)


def _day(day: int) -> str:
    return str(day - START // 86_400_000)
