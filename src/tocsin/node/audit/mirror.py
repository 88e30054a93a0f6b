"""An auditor's own copy of a network, made again from the blocks that members give (spec 3.4, spec 10.3).

That blocks follow from their envelopes says only that they could have been decided: whoever orders can leave out, put
off and date otherwise. So nothing stays in the copy that k of n signers did not sign, a change of the signers only with
the signatures of those before it (spec 11.4). What comes after is made again too, and waits.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tocsin.client.report import short
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Checker
from tocsin.kernel.quorum import finality
from tocsin.node.finality.epochs import Epochs, holds
from tocsin.node.follower import Forged, remake
from tocsin.node.web.remote import BlockFile
from tocsin.store.network import NetworkStore
from tocsin.tlog import Checkpoint, VerifierKey, note
from tocsin.tlog.merkle import verify_consistency


class Signatures(NamedTuple):
    """Of a checkpoint. `logged`: the log's own is there; `signed`: of how many signers; `needed`: to be final."""

    logged: bool
    signed: int
    needed: int

    @property
    def final(self) -> bool:
        """Whether they suffice (spec 10.3)."""
        return self.logged and self.signed >= self.needed

    def __str__(self) -> str:
        return f"{self.signed} of {self.needed} signatures" + ("" if self.logged else ", and not the log's")


class Unsealed(Exception):
    """Who signed before did not sign that others do now: nobody can say whether they may (spec 11.4)."""


class Lender(NamedTuple):
    """How one member shows that its blocks are those that were signed; both may raise RemoteError.

    `prove`: consistency of two sizes, the larger that of its checkpoint; `sealed`: the final checkpoint of a size at
    which the signers changed, None where there is none with enough signatures.
    """

    prove: Callable[[int, int], Sequence[bytes]]
    sealed: Callable[[int], Checkpoint | None]


class Mirror:
    """The copy of one network. One thread."""

    def __init__(self, records: NetworkStore, log: VerifierKey, verifier: Checker) -> None:
        self.records = records
        self.epochs = Epochs(records)
        """Who signs, as far as the copy reaches."""
        self._log = log
        self._ledger = Ledger(records, verifier)

    @property
    def height(self) -> int:
        """Of the last block of the copy."""
        return self.records.durable[0]

    @property
    def size(self) -> int:
        """Leaves of the copy."""
        return self.records.durable[1]

    def signatures(self, parsed: note.Note, size: int) -> Signatures:
        """Count them on a checkpoint of a size, by the keys that the copy knows."""
        cosigners = self.epochs.cosigners(size)
        signed = sum(1 for one in cosigners if any(holds(one.vkey, parsed.text, line) for line in parsed.signatures))
        logged = any(holds(self._log, parsed.text, line) for line in parsed.signatures)
        return Signatures(logged, signed, finality(len(cosigners)))

    def same(self, after: int, blocks: Sequence[BlockFile]) -> int:
        """Compare what the copy has above height `after` with a member's blocks; how many of them it has.

        Raises Forged for the first that is another, or not the next.
        """
        count = 0
        for block in blocks:
            ours = next(self.records.blocks(after + 1, self.height), None)
            if ours is None:
                break
            if block != BlockFile.of(ours):
                raise Forged(
                    f"after block {after} comes its block {block.height}, which ends with {block.size} leaves and the "
                    f"root {short(block.root)}; what was signed has block {ours.height} with {ours.size} and "
                    f"{short(ours.root.hex())}"
                )
            after = ours.height
            count += 1
        return count

    def take(self, blocks: Sequence[BlockFile], head: Checkpoint | None, lender: Lender) -> int:
        """Make a member's next blocks again; how many of them stay: those that `head`, which is final, extends.

        Returns after a change of the signers, because who signs `head` is then known better. Raises Forged if a block
        does not follow from its envelopes or is not what was signed, Unsealed, RemoteError, UnknownProtocol.
        """
        kept = 0
        try:
            for count, block in enumerate(blocks, start=1):
                outcome = remake(self._ledger, block)
                if head is not None and self.records.head.size < head.size < block.size:
                    raise Forged(f"no block of its ends with {head.size} leaves, as what was signed does")
                self._ledger.stage(outcome)
                if head is None or block.size > head.size:
                    continue
                changed = any(Epochs.changes(leaf) for leaf in outcome.leaves) and self._signers_change(block.size)
                if block.size == head.size or (count == len(blocks) and not changed):
                    self._keep(block, head, lender)
                    kept = count
                elif changed:
                    sealed = lender.sealed(block.size)
                    if sealed is None:
                        raise Unsealed(f"the change of signers in block {block.height} is not signed by those before")
                    self._keep(block, sealed, lender)
                    return count
        finally:
            if self.records.head.size > self.size:
                self.records.drop()
                self._ledger.reload()
                self.epochs.refresh()
        return kept

    def _signers_change(self, size: int) -> bool:
        self.epochs.refresh()
        return self.epochs.signers(size) != self.epochs.signers(size + 1)

    def _keep(self, block: BlockFile, head: Checkpoint, lender: Lender) -> None:
        """Make durable what is made again up to a block, if a signed head extends it."""
        root = bytes.fromhex(block.root)
        if block.size == head.size:
            good = root == head.root
        else:
            proof = lender.prove(block.size, head.size)
            good = verify_consistency(block.size, head.size, root, head.root, proof)
        if not good:
            raise Forged(
                f"its block {block.height} ends with {block.size} leaves and the root {short(block.root)}, which the "
                f"log of {head.size} leaves that was signed does not extend"
            )
        self.records.flush()
