"""The same proof in formats that others read: C2SP tlog-proof of the record's leaf (spec 10)."""

from typing import NamedTuple

from tocsin.client.dossier import Dossier, DossierError, decode_leaf
from tocsin.kernel.leaves import Final
from tocsin.tlog import proof


class ExportedProof(NamedTuple):
    """The leaf's bytes, and the `.tlog-proof` file that places them in the log; a verifier needs both, and a policy."""

    leaf: bytes
    proof: bytes


def tlog_proof(dossier: Dossier) -> ExportedProof:
    """The record's leaf and its C2SP proof. Checks nothing; raises DossierError if the dossier has no such leaf."""
    for shown in dossier.leaves:
        data = bytes(shown.leaf)
        leaf = decode_leaf(data, f"Leaf {shown.index}")
        if isinstance(leaf, Final) and leaf.id == dossier.message:
            hashes = tuple(bytes.fromhex(one) for one in shown.proof)
            return ExportedProof(data, proof.format(proof.Proof(shown.index, hashes, dossier.checkpoint.encode())))
    raise DossierError("The dossier does not hold the final leaf of its message.")
