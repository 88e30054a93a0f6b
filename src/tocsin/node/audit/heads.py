"""Heads that the keys of one log signed, as an auditor keeps them: enough to prove every lie, however many are seen.

A head on the log needs no keeping once its key signed a later one: what contradicts the first contradicts, with a
proof, the later one too (ADR 3). So of each key stay its newest head on the log, some that our copy does not reach
yet, and some that are lies.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tocsin.client.report import short
from tocsin.kernel.acts import Evidence
from tocsin.kernel.envelope import encode
from tocsin.node.home import durable
from tocsin.store.network import NetworkStore
from tocsin.tlog import NoteError, VerifierKey, note
from tocsin.tlog.note import Signature, encode_base64

MOST_AHEAD = 16
"""Heads of one key beyond our copy; the smallest stay, because they are judged first."""
MOST_LIES = 16
"""Of one key. More of them prove nothing more, and are neither kept nor told."""


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a member or its node. `evidence`: file of an `evidence` act that proves it, else null."""

    member: str
    kind: str
    sentence: str
    evidence: str | None


class SignedBy(msgspec.Struct, frozen=True):
    """A head that a key signed, as it is kept. `note`: the text with this key's line alone."""

    key: str
    size: int
    root: str
    note: str

    @property
    def line(self) -> Signature:
        """The key's. Raises NoteError."""
        return note.parse(self.note.encode()).signatures[0]


class _OfKey:
    """What is kept of one key. `ahead`, `lies`: by size and root; `proven`: heads for which there is evidence."""

    def __init__(self) -> None:
        self.held: SignedBy | None = None
        self.ahead: dict[tuple[int, str], SignedBy] = {}
        self.lies: dict[tuple[int, str], SignedBy] = {}
        self.proven: set[tuple[int, str]] = set()

    def all(self) -> Iterable[SignedBy]:
        return (*([] if self.held is None else [self.held]), *self.ahead.values(), *self.lies.values())


class Heads:
    """Those of one log, on disk in `folder`; `save` what is new."""

    def __init__(self, records: NetworkStore, log: VerifierKey, folder: Path) -> None:
        """`records`: our copy; `log`: whose lies are of nobody (spec 8.6). Raises OSError."""
        self._records = records
        self._log = log
        self._path = folder / "heads.jsonl"
        self._evidence = folder / "evidence"
        self._keys: dict[str, _OfKey] = {}
        self._changed = False
        self._evidence.mkdir(parents=True, exist_ok=True)
        self.known = [found for one in self._read() for found in self.see(one)]
        """What the heads on disk say: the lies of before."""

    def see(self, mine: SignedBy) -> list[Finding]:
        """Keep a head whose signature holds; what it contradicts."""
        kept = self._keys.setdefault(mine.key, _OfKey())
        place = (mine.size, mine.root)
        if place in kept.ahead or place in kept.lies or (kept.held and place == (kept.held.size, kept.held.root)):
            return []
        if mine.size <= self._records.durable[1]:
            return self._judge(kept, mine)
        found = []
        same = next((one for one in kept.ahead.values() if one.size == mine.size), None)
        if same is not None and len(kept.proven) < MOST_LIES:
            kept.proven.add(place)
            found.append(self._same_size(same, mine))
        kept.ahead[place] = mine
        if len(kept.ahead) > MOST_AHEAD:
            del kept.ahead[max(kept.ahead)]
        self._changed |= place in kept.ahead
        return found

    def grown(self) -> list[Finding]:
        """Our copy has grown: judge what it has reached."""
        found: list[Finding] = []
        size = self._records.durable[1]
        for kept in self._keys.values():
            for place in sorted(place for place in kept.ahead if place[0] <= size):
                found += self._judge(kept, kept.ahead.pop(place))
        return found

    def save(self) -> None:
        """Make durable what was seen. Raises OSError."""
        if self._changed:
            lines = [msgspec.json.encode(one) + b"\n" for kept in self._keys.values() for one in kept.all()]
            durable.write(self._path, b"".join(lines))
            self._changed = False

    def _judge(self, kept: _OfKey, mine: SignedBy) -> list[Finding]:
        if self._records.root(mine.size).hex() != mine.root:
            return self._lie(kept, mine)
        if kept.held is None or kept.held.size < mine.size:
            kept.held = mine
            self._changed = True
        return [self._prove(kept, lie) for place, lie in kept.lies.items() if self._provable(kept, place)]

    def _lie(self, kept: _OfKey, mine: SignedBy) -> list[Finding]:
        if len(kept.lies) == MOST_LIES:
            return []
        other = next((one for one in kept.lies.values() if one.size == mine.size), None)
        place = (mine.size, mine.root)
        kept.lies[place] = mine
        self._changed = True
        if self._provable(kept, place):
            return [self._prove(kept, mine)]
        if other is not None:
            return [self._same_size(other, mine)]
        who = self._who(mine)
        said = f"{who} signed a root of size {mine.size} that no block leads to: {short(mine.root)}"
        return [Finding(who, "fork", said, None)]

    def _provable(self, kept: _OfKey, place: tuple[int, str]) -> bool:
        return kept.held is not None and place[0] <= kept.held.size and place not in kept.proven

    def _prove(self, kept: _OfKey, lie: SignedBy) -> Finding:
        """The tree of the later head extends another root at the size of the lie (ADR 3)."""
        on = kept.held
        assert on is not None
        kept.proven.add((lie.size, lie.root))
        if on.size == lie.size:
            return self._same_size(lie, on)
        hashes = [encode_base64(one) for one in self._records.consistency(lie.size, on.size)]
        ours = self._records.root(lie.size).hex()
        who = self._who(lie)
        said = f"{who} signed {short(lie.root)} at size {lie.size}, which its head of size {on.size} does not extend"
        act = Evidence(self._records.origin, lie.note, on.note, ours, hashes)
        return Finding(who, "equivocation", said, self._write(lie, act))

    def _same_size(self, one: SignedBy, other: SignedBy) -> Finding:
        who = self._who(one)
        said = f"{who} signed two roots of size {one.size}: {short(one.root)} and {short(other.root)}"
        act = Evidence(self._records.origin, one.note, other.note, None, [])
        return Finding(who, "equivocation", said, self._write(one, act))

    def _who(self, one: SignedBy) -> str:
        name = one.line.name
        return "the log" if name == self._log.name else name.removeprefix(f"{self._records.origin}/")

    def _write(self, one: SignedBy, act: Evidence) -> str | None:
        line = one.line
        if line.name == self._log.name:
            return None  # to the rules it is of nobody (spec 8.6)
        path = self._evidence / f"{one.size}-{line.key_id.hex()}.json"
        durable.write(path, encode(act) + b"\n")
        return str(path)

    def _read(self) -> Iterable[SignedBy]:
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                one = msgspec.json.decode(line, type=SignedBy)
                assert one.line
            except (msgspec.DecodeError, NoteError):
                continue
            yield one
