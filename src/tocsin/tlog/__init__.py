"""THE EVIDENCE: Merkle log, checkpoints, cosignatures and proofs, in the formats of C2SP. Pure.

Standard library only, no I/O and no cryptography beyond SHA-256: tiles are read through a callable, and Ed25519
checks are either handed out as (key, message, signature) or made by a ``verify`` callable that the caller brings.
Use the modules by name, ``tlog.checkpoint.parse(...)``:

- `merkle`: hashes, `Frontier`, inclusion and consistency proofs
- `note`: signed notes and vkeys
- `checkpoint`: the text that states a log's size and root
- `cosignature`: timestamped cosignatures, counted by distinct key
- `tiles`: the files a log is served as, made as it grows (`TileEdge`) and read for proofs (`HashReader`)
- `audit`: a whole log against its root
- `policy`: which logs and cosigners are believed
- `proof`: an entry's place in a log, to hand out
"""

from . import audit, checkpoint, cosignature, merkle, note, policy, proof, tiles
from .checkpoint import Checkpoint, CheckpointError
from .cosignature import CosignedLine, Cosigner, Verify
from .merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from .note import Note, NoteError, VerifierKey, is_small_order
from .policy import Policy, PolicyError
from .proof import Proof, ProofError, verify_proof
from .tiles import HashReader, TileEdge, TileError

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "CheckpointError",
    "CosignedLine",
    "Cosigner",
    "Frontier",
    "HashReader",
    "Note",
    "NoteError",
    "Policy",
    "PolicyError",
    "Proof",
    "ProofError",
    "TileEdge",
    "TileError",
    "VerifierKey",
    "Verify",
    "audit",
    "checkpoint",
    "cosignature",
    "is_small_order",
    "leaf_hash",
    "merkle",
    "node_hash",
    "note",
    "policy",
    "proof",
    "tiles",
    "verify_proof",
]
