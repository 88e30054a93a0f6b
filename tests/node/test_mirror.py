"""An auditor's copy: what a signed head extends stays, and nothing else, however much of it could have been decided."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.store.world import World, signer
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Verifier
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.evidence import caught_in
from tocsin.node.audit.mirror import Lender, Mirror, Unsealed
from tocsin.node.follower import Forged
from tocsin.node.web.remote import BlockFile
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store
from tocsin.tlog import Checkpoint, VerifierKey
from tocsin.tlog.note import ED25519

WHO = "district-00"
OTHER = "district-01"


class Pair:
    """A log that grows, and an auditor's copy of it."""

    def __init__(self, log: NetworkStore, copy: NetworkStore, world: World, verifier: Verifier) -> None:
        self.log = log
        self.ledger = Ledger(log)
        self.world = world
        self.copy = copy
        self.mirror = Mirror(copy, VerifierKey(world.origin, ED25519, bytes(32)), verifier)
        self.lender = Lender(log.consistency, lambda size: None)

    def decide(self, envelopes: Sequence[Envelope] = (), caught: Sequence[str] = ()) -> None:
        self.ledger.commit(self.ledger.propose(self.log.head.at + 1000, envelopes, caught=caught))

    def presents(self, count: int) -> None:
        for _ in range(count):
            self.decide([self.world.present(WHO, 1, self.log.head.at + 1000)])

    def blocks(self) -> list[BlockFile]:
        return [
            BlockFile(one.height, one.at, one.size, one.root.hex(), [data.decode() for data in one.envelopes],
                      caught_in(one.leaves))
            for one in self.log.blocks(1)
        ]  # fmt: skip

    def head(self) -> Checkpoint:
        return Checkpoint(self.log.origin, self.log.head.size, self.log.head.root)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    world = World(validators=4)
    with ExitStack() as stack:
        log, copy = (
            stack.enter_context(Store.open(tmp_path / name)).create_network(world.genesis_bytes, world.founding_bytes)
            for name in ("log.db", "copy.db")
        )
        yield Pair(log, copy, world, stack.enter_context(closing(Verifier(1))))


def test_what_a_signed_head_extends_stays_and_what_comes_after_waits(pair: Pair) -> None:
    pair.presents(6)
    head = pair.head()
    pair.presents(2)
    blocks = pair.blocks()
    assert pair.mirror.take(blocks, None, pair.lender) == 0
    # A part of the way is shown to lead there by a proof.
    assert pair.mirror.take(blocks[:3], head, pair.lender) == 3
    assert pair.copy.durable == (pair.copy.head.height, pair.copy.head.size) == (blocks[2].height, blocks[2].size)
    assert pair.mirror.take(blocks[3:], head, pair.lender) == 3
    assert pair.mirror.size == pair.copy.head.size == head.size
    assert pair.copy.root(head.size) == head.root
    assert pair.mirror.same(0, blocks) == 6
    assert pair.mirror.take(blocks[6:], pair.head(), pair.lender) == 2


def test_what_could_have_been_decided_and_was_not_signed_does_not_stay(pair: Pair) -> None:
    pair.presents(4)
    head = pair.head()
    blocks = pair.blocks()
    other = Checkpoint(head.origin, head.size, b"\x07" * 32)
    longer = Checkpoint(head.origin, head.size + 1, b"\x07" * 32)
    shorter = Checkpoint(head.origin, head.size - 1, b"\x07" * 32)
    unproven = Lender(lambda size, upto: [b"\x07" * 32], lambda size: None)
    for wrong in (other, longer, shorter):
        with pytest.raises(Forged):
            pair.mirror.take(blocks, wrong, unproven)
        assert pair.mirror.size == pair.copy.head.size == 4
    with pytest.raises(Forged):
        pair.mirror.take([*blocks[:2], blocks[3]], head, pair.lender)
    assert pair.mirror.take(blocks, head, pair.lender) == 4


def test_whom_the_engine_caught_is_told_with_the_block(pair: Pair) -> None:
    """Else a network in which a validator voted twice could be followed no further."""
    pair.presents(1)
    key = signer(pair.world.origin, OTHER, "validator").public_key
    pair.decide(caught=[key])
    # It is suspended, and signs no more: that is for those who signed before to say.
    changed = pair.head()
    pair.presents(1)
    blocks = pair.blocks()
    assert [one.caught for one in blocks] == [[], [key], []]
    with pytest.raises(Forged):
        pair.mirror.take([blocks[0], replace(blocks[1], caught=[]), blocks[2]], pair.head(), pair.lender)
    with pytest.raises(Unsealed):
        pair.mirror.take(blocks, pair.head(), pair.lender)
    assert pair.mirror.height == 0
    sealed = Lender(pair.log.consistency, lambda size: changed if size == changed.size else None)
    assert pair.mirror.take(blocks, pair.head(), sealed) == 2
    assert OTHER not in [one.id for one in pair.mirror.epochs.signers(pair.head().size)]
    assert pair.mirror.take(blocks[2:], pair.head(), sealed) == 1
    assert pair.mirror.same(0, blocks) == 3
    with pytest.raises(Forged):
        pair.mirror.same(1, [replace(blocks[1], caught=["ab" * 32])])
