"""Verify a store from bytes, and say what is wrong and where.

Nothing stored is believed: every envelope is read and its signatures checked again, every block is applied again from
the genesis on, and leaves, hashes, receipts, rows and checkpoints are compared with what comes out.
"""

from tocsin.store.fsck.check import fsck
from tocsin.store.fsck.findings import Finding, Progress, VerifyAll

__all__ = ["Finding", "Progress", "VerifyAll", "fsck"]
