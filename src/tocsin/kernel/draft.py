"""The block in the making: an overlay over the state, and the leaves so far (spec 4).

Reads fall through to the state; edits are copies, so that the state itself is never touched. The
dicts inside a row are copied on edit; its lists are replaced, never changed in place.
"""

from collections.abc import Mapping
from copy import copy
from heapq import heappop, heappush
from typing import Any

import msgspec

from tocsin.kernel.acts import Join, Leave, Rotate
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import Leaf
from tocsin.kernel.rows import (
    OLD_INCIDENT,
    OLD_MESSAGE,
    ORIGINAL,
    Account,
    Incident,
    Member,
    Message,
    OriginalRow,
    Peer,
    RunningOrder,
    Sent,
    original_key,
)
from tocsin.kernel.state import Deadline, State, deadlines

_archived = {
    OLD_MESSAGE: msgspec.json.Decoder(Message).decode,
    OLD_INCIDENT: msgspec.json.Decoder(Incident).decode,
    ORIGINAL: msgspec.json.Decoder(OriginalRow).decode,
}


class Draft:
    """What one block changes. `at`: block time in ms; `rows`: archived rows loaded for it."""

    def __init__(self, state: State, at: int, rows: Mapping[str, bytes | None]) -> None:
        self.state = state
        self.at = at
        self.rows = rows
        self.changes: dict[str, dict[str, Any]] = {name: {} for name in state.tables}
        self.archive: dict[str, Any] = {}
        self._live: Mapping[str, Message] = state.tables["message"]
        self._messages: dict[str, Message | None] = self.changes["message"]
        self._rules: dict[tuple[str, int], Rule] = {}
        self.opened: dict[tuple[str, str], list[str]] = {}
        """Incidents opened in this block by status and key, oldest first."""
        self.leaves: list[bytes] = []
        self.meta = copy(state.meta)
        self.charter: Charter = state.charter
        self.touched: dict[str, int] = {}
        self.based: list[tuple[int, str]] = []
        self.electorates: dict[tuple[str, str, str], Any] = {}
        self.peers_changed: dict[str, str | None] = {}
        self.next_peers: dict[str, Peer | None] = {}
        self.charter_cause: str | None = None
        self.roster_changed = False
        self.last: list[tuple[str, Rotate | Leave | Join]] = []
        """Acts of members about themselves, which take effect at the block's end (spec F1)."""
        self.rekeyed: set[str] = set()
        """Whose keys motions of this block replaced: a `join` beside that came from a node with the old ones (8.3)."""
        self.due: list[Deadline] = []
        self.watching = False

    # Rows.

    def get(self, table: str, name: str) -> Any:
        """The row as this block has it so far, not to be changed; None if there is none."""
        changes = self.changes[table]
        if name in changes:
            return changes[name]
        return self.state.tables[table].get(name)

    def edit(self, table: str, name: str) -> Any:
        """The row, to be changed; KeyError if there is none."""
        changes = self.changes[table]
        if name in changes:
            row = changes[name]
            if row is None:
                raise KeyError(name)
            return row
        row = self.state.tables[table][name].__copy__()
        if table == "order":
            row.answers = dict(row.answers)
        changes[name] = row
        return row

    def edit_live(self, name: str) -> Message:
        """A live message, to be changed; KeyError if there is none."""
        row = self._messages.get(name)
        if row is None:
            if name in self._messages:
                raise KeyError(name)
            row = self._messages[name] = copy(self._live[name])
            row.ballots = row.ballots.copy()
            row.ballot_times = row.ballot_times.copy()
        return row

    def put(self, table: str, name: str, row: Any) -> None:
        """Add a row."""
        self.changes[table][name] = row

    def drop(self, table: str, name: str) -> None:
        """Delete a row."""
        if name in self.state.tables[table]:
            self.changes[table][name] = None
        else:
            self.changes[table].pop(name, None)

    def names(self, table: str) -> list[str]:
        """Names of all rows of a table, sorted."""
        changes = self.changes[table]
        kept = [name for name in self.state.tables[table] if name not in changes]
        return sorted(kept + [name for name, row in changes.items() if row is not None])

    def member(self, name: str) -> Member | None:
        """A member as it was at the start of the block (spec F1)."""
        row: Member | None = self.state.tables["member"].get(name)
        return row

    def next_member(self, name: str) -> Member | None:
        """A member as it will be after the block (spec F1)."""
        row: Member | None = self.get("member", name)
        return row

    def next_members(self) -> list[Member]:
        """All members as they will be, sorted by id."""
        return [self.get("member", name) for name in self.names("member")]

    def account(self, name: str) -> Account:
        """A member's account, to be changed."""
        row: Account = self.edit("account", name)
        return row

    def awake(self, name: str) -> None:
        """The member acted, or begins anew: it is not dormant (spec F16)."""
        account = self.account(name)
        if account.missed:
            account.missed = 0
            self.electorates.clear()
        account.last_act = self.at

    def missed(self, name: str) -> None:
        """A message ended without the member's ballot (spec F16)."""
        self.account(name).missed += 1
        self.electorates.clear()

    def message(self, name: str) -> Message | None:
        """A live message, not to be changed."""
        return self._messages[name] if name in self._messages else self._live.get(name)

    def incident(self, name: str | None) -> Incident | None:
        """A live incident, not to be changed."""
        row: Incident | None = None if name is None else self.get("incident", name)
        return row

    def order(self, name: str) -> RunningOrder | None:
        """A running order, not to be changed."""
        row: RunningOrder | None = self.get("order", name)
        return row

    def peer(self, origin: str) -> Peer | None:
        """A peer as it was at the start of the block, but for what relays moved, not to be changed (spec 4.4)."""
        row: Peer | None = self.get("peer", origin)
        return None if row is None or row.state == "removed" else row

    def next_peer(self, origin: str) -> Peer | None:
        """A peer as motions of this block will leave it (spec F1)."""
        return self.next_peers[origin] if origin in self.next_peers else self.peer(origin)

    def peer_of(self, genesis: str) -> Peer | None:
        """The peer with this genesis, not to be changed."""
        for origin in self.names("peer"):
            row = self.peer(origin)
            if row is not None and row.entry.genesis == genesis:
                return row
        return None

    def rule(self, message: Message) -> Rule:
        """The rule of a message's opening, which it keeps for ever (spec 6.1)."""
        place = (message.charter, message.rule)
        rule = self._rules.get(place)
        if rule is None:
            rule = self._rules[place] = self.charter_of(message).rules[message.rule]
        return rule

    def charter_of(self, message: Message) -> Charter:
        """The charter of a message's opening."""
        row: Charter = self.get("charter", message.charter)
        return row

    # Archived rows.

    def old(self, prefix: str, name: str) -> Any:
        """An archived row, not to be changed; None if there is none or it was not loaded."""
        key = prefix + name
        if key in self.archive:
            return self.archive[key]
        data = self.rows.get(key)
        return None if data is None else _archived[prefix](data)

    def edit_old(self, prefix: str, name: str) -> Any:
        """An archived row, to be changed."""
        key = prefix + name
        if key not in self.archive:
            self.archive[key] = self.old(prefix, name)
        return self.archive[key]

    def any_message(self, name: str) -> Message | None:
        """A message, live or archived, not to be changed."""
        return self.message(name) or self.old(OLD_MESSAGE, name)

    def edit_message(self, name: str) -> Message:
        """A message, live or archived, to be changed."""
        row: Message = self.edit_live(name) if self.message(name) else self.edit_old(OLD_MESSAGE, name)
        return row

    def incident_end(self, name: str | None) -> Incident | None:
        """The incident at the end of the redirects of `name`, live or closed (spec F11)."""
        for _ in range(64):
            if name is None:
                return None
            row: Incident | None = self.incident(name) or self.old(OLD_INCIDENT, name)
            if row is None or row.duplicate_of is None:
                return row
            name = row.duplicate_of
        return None

    def local_id(self, genesis: str, name: str) -> str | None:
        """Our id of a message known elsewhere as (genesis, name), or None (spec 11)."""
        found = self.local_ids(genesis, name)
        return found[0] if found else None

    def local_ids(self, genesis: str, name: str) -> list[str]:
        """Our ids of a message known elsewhere as (genesis, name): as what it is, and as a share (spec 11.3)."""
        if genesis == self.meta.genesis:
            return [name]
        keys = (original_key(genesis, name, share).removeprefix(ORIGINAL) for share in (False, True))
        return [row.id for key in keys if (row := self.old(ORIGINAL, key)) is not None]

    def original_row(self, name: str) -> OriginalRow:
        """A row of the dedupe table that points to `name`."""
        return OriginalRow(name)

    # Progress.

    @property
    def unsealed(self) -> bool:
        """Whether a change of the signers is not sealed yet (spec 11.4)."""
        changes = self.changes["handover"]
        waiting = self.state.tables["handover"]
        return any(name not in changes for name in waiting) or any(row is not None for row in changes.values())

    def number(self) -> int:
        """The next number of the opening order (spec F3)."""
        self.meta.counter += 1
        return self.meta.counter

    def leaf(self, leaf: Leaf) -> int:
        """Append a leaf; return its index in the log."""
        index = self.meta.size
        self.meta.size += 1
        self.leaves.append(encode(leaf))
        return index

    def touch(self, message: Message) -> None:
        """Have a message tallied in step 3 (spec 4)."""
        self.touched[message.id] = message.number

    def send(self, origin: str, message: str, answered: bool) -> tuple[str, int]:
        """Number what goes to a peer; `answered`: an outcome must come back in time (spec 11)."""
        peer: Peer = self.edit("peer", origin)
        number = peer.next_out
        peer.next_out += 1
        if answered:
            due = self.at + self.charter.times.receipt_s * 1000
            sent = Sent(origin, number, message, self.at, due, self.number(), False)
            self.put("sent", f"{origin}:{number}", sent)
        return (origin, number)

    # Deadlines of step 1.

    def watch(self) -> None:
        """Start step 1: collect what is due."""
        self.due = self.state.due(self.at)
        self.watching = True

    def created(self, table: str, row: Any) -> None:
        """Let a row changed on the way add its own deadlines to step 1 (spec 4)."""
        if self.watching:
            for deadline in deadlines(table, row, self.charter):
                if deadline.at <= self.at:
                    heappush(self.due, deadline)

    def next_due(self) -> Deadline | None:
        """The next deadline that still holds, or None when step 1 is over."""
        while self.due:
            deadline = heappop(self.due)
            table = _TABLE[deadline.what]
            row = self.get(table, deadline.id)
            if row is not None and deadline in list(deadlines(table, row, self.charter)):
                return deadline
        self.watching = False
        return None


_TABLE = {
    "notice": "message",
    "vote": "message",
    "veto": "message",
    "due": "order",
    "expires": "order",
    "term": "incident",
    "quiet": "incident",
    "suspension": "member",
    "overdue": "sent",
    "handover": "handover",
}
