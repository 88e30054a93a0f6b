"""What a network sends, by destination, as the leaves of its log say it (spec 11.2)."""

import threading
from collections import defaultdict, deque
from collections.abc import Iterator

import msgspec

from tocsin.kernel.rows import Peer
from tocsin.node.web.remote import SentPlace
from tocsin.store.network import NetworkStore

_MARK = b',"to":[["'
MOST = 256
"""Places in one answer."""
_STRETCH = 1024
"""Leaves read in one go, backwards."""


class _HasTo(msgspec.Struct):
    to: list[tuple[str, int]]


_decode = msgspec.json.Decoder(_HasTo).decode
_decode_peer = msgspec.json.Decoder(Peer).decode


class Outbox:
    """An index of the log, from its end back as far as somebody asked; any thread may ask."""

    def __init__(self, records: NetworkStore) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._first = self._end = records.durable[1]
        self._sent: defaultdict[str, deque[SentPlace]] = defaultdict(deque)

    def since(self, destination: str, number: int) -> list[SentPlace]:
        """What goes to a destination from a number on, in order, as far as it is on disk."""
        row = self._records.row(f"peer:{destination}")
        if row is None or number >= _decode_peer(row).next_out:
            return []
        number = max(1, number)
        with self._lock:
            self._forwards()
            sent = self._sent[destination]
            while self._first and not (sent and sent[0].number <= number):
                self._backwards()
            # Numbers have no gaps.
            skip = number - sent[0].number if sent else 0
            return list(sent)[skip : skip + MOST]

    def _forwards(self) -> None:
        size = self._records.durable[1]
        for origin, sent in self._read(self._end, size):
            self._sent[origin].append(sent)
        self._end = size

    def _backwards(self) -> None:
        start = max(0, self._first - _STRETCH)
        for origin, sent in reversed(list(self._read(start, self._first))):
            self._sent[origin].appendleft(sent)
        self._first = start

    def _read(self, start: int, end: int) -> Iterator[tuple[str, SentPlace]]:
        for place, leaf in enumerate(self._records.iter_leaves(start, end), start=start):
            if _MARK in leaf:
                for origin, number in _decode(leaf).to:
                    yield origin, SentPlace(place, number)
