"""What a dossier is made from, read out of one network's store (spec 10)."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from tocsin.kernel.acts import Act, Concur, Finding, NoteTerms, OutcomeTerms, ReceiptsTerms, Review, VetoAct, Withdraw
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.genesis import Genesis, decode_genesis
from tocsin.kernel.leaves import AnyLeaf, CharterLeaf, Final, PeerLeaf, RosterLeaf
from tocsin.store.network import NetworkStore

_decode = msgspec.json.Decoder(AnyLeaf).decode


class _Taken(NamedTuple):
    """A consumed envelope with its receipt."""

    envelope: Envelope
    codes: list[int]


class LogSource:
    """The source of the dossier of one message; it reads the journal from the message's opening to the last leaf about
    it, by when every act behind those leaves was taken."""

    def __init__(self, store: NetworkStore, message: str) -> None:
        self._store = store
        self._message = message
        self._shown = store.find(message)

    @cached_property
    def genesis(self) -> Genesis:
        """The network's genesis."""
        return decode_genesis(self._store.genesis)

    def checkpoint(self) -> bytes:
        """The newest final checkpoint; raises LookupError if the node has signed none."""
        found = self._store.checkpoint()
        if found is None:
            raise LookupError(f"{self._store.origin} has no signed checkpoint yet; let its members sign one first.")
        return found.note

    def checkpoint_at(self, size: int) -> bytes | None:
        """The kept checkpoint of a size."""
        found = self._store.checkpoint(size)
        return None if found is None else found.note

    def leaf(self, index: int) -> bytes:
        """Canonical bytes of a leaf."""
        return self._store.leaf(index)

    def inclusion(self, index: int, size: int) -> Sequence[bytes]:
        """Inclusion proof."""
        return self._store.inclusion(index, size)

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        """Consistency proof."""
        return self._store.consistency(size1, size2)

    def of_message(self, message: str) -> Sequence[int]:
        """Leaves about a message: those of its life, and what a peer said of it; not those that name it as a cause."""
        found = self._shown if message == self._message else self._store.find(message)
        return [index for index in found if _is_about(_decode(self._store.leaf(index)), message)]

    def block_of(self, index: int) -> int:
        """The `block` leaf that ends the block of a leaf."""
        return self._store.block_of_leaf(index).size - 1

    def roster(self, epoch: int) -> int:
        """The `roster` leaf of an epoch; raises LookupError if there is none."""
        return self._landmark(lambda leaf: isinstance(leaf, RosterLeaf) and leaf.epoch == epoch, f"epoch {epoch}")

    def charter(self, digest: str) -> int:
        """The `charter` leaf of a charter; raises LookupError if there is none."""
        return self._landmark(lambda leaf: isinstance(leaf, CharterLeaf) and leaf.digest == digest, f"charter {digest}")

    def peer(self, origin: str, before: int) -> int | None:
        """The last `peer` leaf of an origin before an index."""
        found = [
            index
            for index, leaf in self._landmarks
            if index < before and isinstance(leaf, PeerLeaf) and leaf.origin == origin
        ]
        return found[-1] if found else None

    def envelope(self, author: str, act: str, envelope: str | None) -> bytes | None:
        """The consumed envelope of this author with this act accepted."""
        for taken in self._taken:
            one = taken.envelope
            if one.header.author != author or (envelope is not None and one.digest != envelope):
                continue
            if any(d == act and code == 0 for d, code in zip(one.act_digests, taken.codes, strict=True)):
                return one.data
        return None

    def closing(self, message: str) -> Sequence[tuple[str, str]]:
        """(author, act digest) of the accepted `concur`, `veto` and `withdraw` acts on a message."""
        found: list[tuple[str, str]] = []
        for taken in self._taken:
            one = taken.envelope
            for act, digest, code in zip(one.acts, one.act_digests, taken.codes, strict=True):
                if code == 0 and _closes(act, message):
                    found.append((one.header.author, digest))
        return found

    @cached_property
    def _landmarks(self) -> list[tuple[int, AnyLeaf]]:
        return [(index, _decode(self._store.leaf(index))) for index in self._store.landmarks()]

    def _landmark(self, wanted: Callable[[AnyLeaf], bool], what: str) -> int:
        for index, leaf in self._landmarks:
            if wanted(leaf):
                return index
        raise LookupError(f"The log of {self._store.origin} has no leaf of {what}; it is damaged, run `tocsin fsck`.")

    @cached_property
    def _taken(self) -> list[_Taken]:
        """Envelopes of the opening block, and later ones that name the message."""
        return list(self._scan())

    def _scan(self) -> Iterator[_Taken]:
        if not self._shown:
            return
        first = self._store.block_of_leaf(self._shown[0]).height
        last = self._store.block_of_leaf(self._shown[-1]).height
        needle = self._message.encode()
        for block in self._store.blocks(first, last):
            for data, codes in zip(block.envelopes, block.receipts, strict=True):
                if block.height == first or needle in data:
                    read = decode(data)
                    if not isinstance(read, Refusal):
                        yield _Taken(read, codes)


_OF_ITS_LIFE = ("relayed", "opened", "annotated", "finding", "settled", "order_receipts", "erased")


def _is_about(leaf: AnyLeaf, message: str) -> bool:
    if isinstance(leaf, Final):
        terms = leaf.terms
        told = isinstance(terms, OutcomeTerms | NoteTerms | ReceiptsTerms) and terms.message == message
        found = leaf.kind == "relayed.finding" and isinstance(terms, Finding | Review) and terms.target == message
        return leaf.id == message or (leaf.source is not None and (told or found))
    named = (getattr(leaf, name, None) for name in ("id", "target", "order"))
    return type(leaf).__struct_config__.tag in _OF_ITS_LIFE and message in named


def _closes(act: Act, message: str) -> bool:
    return isinstance(act, Concur | VetoAct | Withdraw) and act.message == message
