"""The state of a network: live rows in memory, and the order of its deadlines (spec 3.4, spec 4.1).

`advance` is the only mutation. Everything else here is derived from the rows, so that a state
restored from its snapshot goes on identically.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from tocsin.kernel import rows as schema
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import digest_of_parts
from tocsin.kernel.envelope import encode

TABLES: dict[str, Any] = {
    "account": schema.Account,
    "archive": schema.Archive,
    "charter": Charter,
    "handover": schema.PendingHandover,
    "incident": schema.Incident,
    "key": schema.UsedKey,
    "member": schema.Member,
    "message": schema.Message,
    "meta": schema.Meta,
    "order": schema.RunningOrder,
    "peer": schema.Peer,
    "seen": schema.Seen,
    "sent": schema.Sent,
    "upgrade": schema.Upgrade,
}
"""Live tables: name -> row type. A row's key is `table:id`."""

_decoders = {name: msgspec.json.Decoder(row).decode for name, row in TABLES.items()}


class Deadline(NamedTuple):
    """A moment at which a row is due. Sorted by (at, order, rank) (spec F3)."""

    at: int
    order: int
    rank: int
    what: str
    id: str


NOTICE, VOTE, VETO, DUE, EXPIRES, QUIET, TERM, SUSPENSION, OVERDUE, HANDOVER = range(10)
"""Ranks among the deadlines of one row (spec F3)."""


def deadlines(table: str, row: Any, charter: Charter) -> Iterator[Deadline]:
    """The deadlines that a row carries, if any."""
    if table == "message":
        if row.state == "open":
            if row.notice is not None:
                yield Deadline(row.notice, row.number, NOTICE, "notice", row.id)
            if row.vote_ends is not None:
                yield Deadline(row.vote_ends, row.number, VOTE, "vote", row.id)
        elif row.state == "endorsed" and row.veto_ends is not None:
            yield Deadline(row.veto_ends, row.number, VETO, "veto", row.id)
    elif table == "order":
        if not row.due_done and row.due < row.expires and not row.complete:
            yield Deadline(row.due, row.number, DUE, "due", row.id)
        yield Deadline(row.expires, row.number, EXPIRES, "expires", row.id)
    elif table == "incident":
        if row.lead_until is not None:
            yield Deadline(row.lead_until, row.term, TERM, "term", row.id)
        if row.stage in charter.stages.quiet:
            quiet = row.last_record + charter.times.quiet_s * 1000
            yield Deadline(quiet, row.number, QUIET, "quiet", row.id)
    elif table == "member":
        if row.status == "suspended" and row.until is not None:
            yield Deadline(row.until, row.number, SUSPENSION, "suspension", row.id)
    elif table == "sent" and not row.overdue:
        yield Deadline(row.due, row.order, OVERDUE, "overdue", f"{row.peer}:{row.number}")
    elif table == "handover":
        yield Deadline(row.until, row.number, HANDOVER, "handover", str(row.index))


class State:
    """All live rows of one network."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
        self.seen: dict[str, int] = {}
        self._expiry: list[tuple[int, str]] = []
        self.timeline: list[Deadline] = []
        self.based: dict[str, int] = {}
        self.named: dict[str, str] = {}
        """Live messages that name an incident, and which."""
        self.live_incidents: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.keyed = 0
        """Changes of the tables that decide which signatures `checks` asks for."""
        self._roster: list[schema.Member] | None = None

    @classmethod
    def from_rows(cls, items: Iterable[tuple[str, bytes]]) -> "State":
        """Restore a state from its snapshot; raises msgspec errors on bytes that are no rows."""
        state = cls()
        for key, value in items:
            table, _, name = key.partition(":")
            state.tables[table][name] = _decoders[table](value)
        for table, content in state.tables.items():
            for name, row in content.items():
                state._index(table, name, row)
        return state

    def rows(self) -> list[tuple[str, bytes]]:
        """The canonical snapshot: every live row, sorted by key."""
        return sorted(
            (f"{table}:{name}", encode(row)) for table, content in self.tables.items() for name, row in content.items()
        )

    def digest(self) -> str:
        """Digest of the canonical snapshot (spec 10)."""
        return rows_digest(self.rows())

    @property
    def meta(self) -> schema.Meta:
        """Height, time, epoch, counters."""
        row: schema.Meta = self.tables["meta"][""]
        return row

    @property
    def charter(self) -> Charter:
        """The charter in force."""
        row: Charter = self.tables["charter"][self.meta.charter]
        return row

    @property
    def charters(self) -> dict[str, Charter]:
        """Every charter that was ever in force, by digest."""
        return self.tables["charter"]

    @property
    def members(self) -> dict[str, schema.Member]:
        """Everybody who ever was a member, by id."""
        return self.tables["member"]

    @property
    def roster(self) -> list[schema.Member]:
        """The same, sorted by id."""
        if self._roster is None:
            self._roster = [self.members[name] for name in sorted(self.members)]
        return self._roster

    @property
    def accounts(self) -> dict[str, schema.Account]:
        """Moving parts of the members."""
        return self.tables["account"]

    @property
    def messages(self) -> dict[str, schema.Message]:
        """Messages that are open or endorsed."""
        return self.tables["message"]

    @property
    def incidents(self) -> dict[str, schema.Incident]:
        """Live incidents."""
        return self.tables["incident"]

    @property
    def orders(self) -> dict[str, schema.RunningOrder]:
        """Orders whose receipts are still taken."""
        return self.tables["order"]

    @property
    def peers(self) -> dict[str, schema.Peer]:
        """Peers by origin, without those removed."""
        return {origin: row for origin, row in self.tables["peer"].items() if row.state != "removed"}

    @property
    def handovers(self) -> dict[str, schema.PendingHandover]:
        """Changes of the signers that are not sealed yet (spec 11.4)."""
        return self.tables["handover"]

    @property
    def archive(self) -> schema.Archive:
        """Count and sum of the archived rows (spec 10.2)."""
        row: schema.Archive = self.tables["archive"][""]
        return row

    @property
    def upgrade(self) -> schema.Upgrade | None:
        """The protocol number that was voted in and waits for its `ready` (spec 8.5)."""
        return self.tables["upgrade"].get("")

    @property
    def sent(self) -> dict[str, schema.Sent]:
        """What went out and waits for its outcome."""
        return self.tables["sent"]

    def next_deadline(self) -> int | None:
        """When the engine must make the next block at the latest, in ms, or None."""
        return self.timeline[0].at if self.timeline else None

    def due(self, at: int) -> list[Deadline]:
        """Deadlines at or before `at`, in order."""
        return self.timeline[: bisect_left(self.timeline, (at + 1,))]

    def expired(self, at: int) -> list[str]:
        """Names of the `seen` rows that `at` has outlived (spec 3.1)."""
        return [name for _, name in self._expiry[: bisect_left(self._expiry, (at + 1,))]]

    def advance(self, outcome: "Change") -> None:
        """Take over the rows of an applied block. The only mutation of a state."""
        meta = outcome.changes.get("meta", {}).get("")
        # Quiet times follow the charter in force: a new one moves the deadlines of every incident.
        amended = meta is not None and bool(self.tables["meta"]) and meta.charter != self.meta.charter
        for table in ("charter", "meta"):
            self._take(table, outcome.changes.get(table, {}))
        for table, changes in outcome.changes.items():
            if table not in ("charter", "meta"):
                self._take(table, changes)
        if amended:
            self.timeline = []
            for table, content in self.tables.items():
                for row in content.values():
                    self.timeline.extend(deadlines(table, row, self.charter))
            self.timeline.sort()

    def _take(self, table: str, changes: dict[str, Any]) -> None:
        if not changes:
            return
        content = self.tables[table]
        if table in ("member", "peer", "handover"):
            self.keyed += 1
            self._roster = None
        indexed = table in ("message", "order", "incident", "member", "sent", "seen", "handover")
        for name, row in changes.items():
            if indexed and name in content:
                self._unindex(table, name, content[name])
            if row is None:
                content.pop(name, None)
            else:
                content[name] = row
                if indexed:
                    self._index(table, name, row)

    def _index(self, table: str, name: str, row: Any) -> None:
        if table == "seen":
            self.seen.update(dict.fromkeys(row.digests, row.until))
            insort(self._expiry, (row.until, name))
            return
        if table in ("message", "order", "incident", "member", "sent", "handover"):
            for deadline in deadlines(table, row, self.charter):
                insort(self.timeline, deadline)
        if table == "message" and is_based(row.kind):
            self.based[name] = row.number
        if table == "message" and row.incident not in (None, "new"):
            self.named[name] = row.incident
        if table == "incident":
            insort(self.live_incidents.setdefault((row.status, row.key), []), (row.number, name))

    def _unindex(self, table: str, name: str, row: Any) -> None:
        if table == "seen":
            for one in row.digests:
                self.seen.pop(one, None)
            del self._expiry[bisect_left(self._expiry, (row.until, name))]
            return
        for deadline in deadlines(table, row, self.charter):
            place = bisect_left(self.timeline, deadline)
            if place < len(self.timeline) and self.timeline[place] == deadline:
                del self.timeline[place]
        if table == "message":
            self.based.pop(name, None)
            self.named.pop(name, None)
        if table == "incident":
            peers = self.live_incidents[(row.status, row.key)]
            peers.remove((row.number, name))
            if not peers:
                del self.live_incidents[(row.status, row.key)]


def is_based(kind: str) -> bool:
    """Whether messages of this kind stay open on a base that may cease to hold (spec 8, spec F8)."""
    return kind.startswith(("motion.", "order.")) or kind in ("finding", "finding.review")


class Change(Protocol):
    """Anything with the changed live rows, by table and name; None deletes."""

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        """Row type by table, then name."""


def rows_digest(items: Sequence[tuple[str, bytes | None]]) -> str:
    """Digest over sorted (key, value) pairs, each length-prefixed; a deletion is an empty value (no row is empty)."""
    parts: list[bytes] = []
    for key, row in items:
        name, value = key.encode(), row or b""
        parts += (len(name).to_bytes(4, "big"), name, len(value).to_bytes(4, "big"), value)
    return digest_of_parts(b"rows", parts)
