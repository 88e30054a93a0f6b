"""A peer that is itself a network under test: its log is what its kernel wrote."""

from typing import TYPE_CHECKING

from tests.kernel.foreign import Foreign
from tests.oracle.beside import Pair
from tests.oracle.law import finality
from tests.oracle.oracle import Oracle
from tocsin.kernel import acts as wire
from tocsin.kernel.leaves import RosterLeaf
from tocsin.kernel.relays import decode_leaf
from tocsin.kernel.words import Relation

if TYPE_CHECKING:
    from tests.kernel.networks import Chance


class Neighbour(Foreign):
    """What `book` sees of the network `pair`."""

    def __init__(self, pair: Pair, relation: Relation, book: Oracle) -> None:
        genesis = pair.kernel.genesis
        super().__init__(genesis.origin, genesis.digest, relation, book.origin, book.genesis)
        self.pair = pair
        self.book = book
        self.log_key = genesis.log_key
        self.log = pair.kernel.leaves
        self.rosters: dict[int, int] = {}
        self.read = 0

    def _look(self) -> None:
        """Read on in its log: what is addressed to us, and where its roster changes."""
        for index in range(self.read, len(self.log)):
            leaf = decode_leaf(self.log[index])
            if isinstance(leaf, RosterLeaf):
                self.rosters[leaf.epoch] = index
            if self.ours in [origin for origin, _ in getattr(leaf, "to", ())]:
                self.outbox.append(index)
        self.read = len(self.log)

    def entry(self, head: str | None, quota: wire.PeerTerms) -> wire.PeerEntry:
        """Pinned at its newest block."""
        there, size = self.pair.oracle, len(self.log)
        roster = [
            wire.PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, one.signs)
            for _, one in sorted(there.members.items())
        ]
        return wire.PeerEntry(
            self.genesis, self.relation, self.log_key, there.epoch, roster, size, self.root(size).hex(), head, quota
        )

    def relay(self, chance: "Chance", book: Oracle, at: int) -> wire.RelayAct:
        """The next leaves, on its newest checkpoint or the one that ends with its next roster."""
        self._look()
        pin = book.pins[self.origin]
        self.members = [one for one in pin.roster if one.active]
        step = self.rosters.get(pin.epoch + 1)
        size = len(self.log) if step is None else step + 2
        first = book.next_in.get(self.origin, 1)
        numbers = [n for n in range(first, first + 4) if n <= len(self.outbox) and self.outbox[n - 1] < size]
        lines = finality(len(self.members)) - int(chance.percent(4))
        return self.shown(numbers, pin.size, at, lines, size, step)

    def contradiction(self, at: int, lines: int | None = None) -> wire.Evidence:
        """By as many as it takes, if not said otherwise; by those whom we know."""
        pin = self.book.pins[self.origin]
        self.members = [one for one in pin.roster if one.active]
        return super().contradiction(at, finality(len(self.members)) if lines is None else lines)
