"""Who signs which sizes of a log, as its roster leaves say (spec 10.3, spec 11.4), and whether a line holds."""

from typing import NamedTuple

from tocsin.client.dossier import decode_leaf
from tocsin.client.signing import verify_signature
from tocsin.kernel.leaves import RosterLeaf
from tocsin.kernel.rows import Signer
from tocsin.kernel.statements import cosigners_of, signs
from tocsin.store.network import NetworkStore
from tocsin.tlog import Cosigner, NoteError, VerifierKey, cosignature, note
from tocsin.tlog.note import ED25519, Signature

_ROSTER = b'{"leaf":"roster"'


class Epoch(NamedTuple):
    """Who signs after the roster leaf at `place`: for sizes above place + 2."""

    place: int
    signers: list[Signer]


class Epochs:
    """Those of one log; `refresh` after blocks that hold a roster leaf."""

    def __init__(self, records: NetworkStore) -> None:
        self._records = records
        self._epochs: list[Epoch] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the roster leaves again."""
        epochs = []
        for place in self._records.landmarks():
            data = self._records.leaf(place)
            if data.startswith(_ROSTER):
                leaf = decode_leaf(data, f"Leaf {place}")
                assert isinstance(leaf, RosterLeaf)
                epochs.append(Epoch(place, [Signer(one.id, one.keys.finality) for one in leaf.members if signs(one)]))
        self._epochs = epochs

    @staticmethod
    def changes(leaf: bytes) -> bool:
        """Whether a leaf begins an epoch."""
        return leaf.startswith(_ROSTER)

    def signers(self, size: int) -> list[Signer]:
        """Whose finality keys count for a size."""
        epochs = self._epochs
        return next((one.signers for one in reversed(epochs) if one.place + 2 < size), epochs[0].signers)

    def cosigners(self, size: int) -> list[Cosigner]:
        """The same, as they stand on a checkpoint."""
        return cosigners_of(self._records.origin, self.signers(size))

    def steps(self, after: int) -> list[int]:
        """Indexes of the roster leaves, from the second on, whose block ends above a size."""
        return [one.place for one in self._epochs[1:] if one.place + 2 > after]


def holds(key: VerifierKey, text: str, line: Signature) -> bool:
    """Whether a signature line is of this key, and verifies on this text."""
    if (line.name, line.key_id) != (key.name, key.key_id):
        return False
    try:
        if key.type == ED25519:
            return verify_signature(key.key, text.encode(), line.value)
        (one,) = cosignature.final_lines(note.Note(text, (line,)), (Cosigner(key.name, key.key),))
    except (NoteError, ValueError):
        return False
    return verify_signature(*one[:3])
