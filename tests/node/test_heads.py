"""What is kept of the heads that keys signed: little, however many are seen, and still enough to prove each lie."""

from pathlib import Path

import msgspec
import pytest

from tests.store.world import World, signer
from tocsin.client.signing import cosign_checkpoint
from tocsin.engine.ledger import Ledger
from tocsin.kernel import evidence
from tocsin.kernel.acts import Evidence
from tocsin.kernel.state import State
from tocsin.node.audit.heads import MOST_AHEAD, MOST_LIES, Finding, Heads, SignedBy
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store
from tocsin.tlog import Checkpoint, VerifierKey, checkpoint, note
from tocsin.tlog.note import ED25519

WHO = "district-00"
SEEN = 300


class Log:
    """A log of some hundred leaves, and one of its signers."""

    def __init__(self, records: NetworkStore, world: World) -> None:
        self.records = records
        self.ledger = Ledger(records)
        self.world = world
        self.key = signer(world.origin, WHO, "finality")

    def grow(self, blocks: int = 1) -> int:
        for _ in range(blocks):
            at = self.records.head.at + 1000
            self.ledger.commit(self.ledger.propose(at, [self.world.present(WHO, 1, at)]))
        return self.records.durable[1]

    def signs(self, size: int, root: bytes | None = None) -> SignedBy:
        head = Checkpoint(self.records.origin, size, root or self.records.root(size))
        text = note.format(checkpoint.format(head), [cosign_checkpoint(self.key, WHO, head, 1)])
        return SignedBy(self.key.public_key, size, head.root.hex(), text.decode())

    def heads(self, folder: Path) -> Heads:
        return Heads(self.records, VerifierKey(self.records.origin, ED25519, bytes(32)), folder)

    def proves(self, found: Finding) -> bool:
        """Whether the rules take its file."""
        assert found.evidence is not None
        act = msgspec.json.decode(Path(found.evidence).read_bytes(), type=Evidence)
        state: State = self.ledger.state
        return evidence.contradiction(state, act) is not None


@pytest.fixture
def log(tmp_path: Path) -> Log:
    world = World()
    store = Store.open(tmp_path / "store.db")
    made = Log(store.create_network(world.genesis_bytes, world.founding_bytes), world)
    made.grow(SEEN // 2)
    return made


def test_of_honest_heads_the_newest_stays_and_none_is_asked_for_again(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = log.records.durable[1]
    seen = [log.signs(one) for one in range(size - SEEN // 2, size)]
    asked: list[int] = []
    root = log.records.root
    monkeypatch.setattr(log.records, "root", lambda size: asked.append(size) or root(size))
    heads = log.heads(tmp_path)
    for one in seen:
        assert heads.see(one) == []
        heads.save()
    assert len(asked) == len(seen)
    assert len((tmp_path / "heads.jsonl").read_bytes().splitlines()) == 1


def test_a_lie_about_any_size_is_proven_by_the_newest_head(log: Log, tmp_path: Path) -> None:
    size = log.grow()
    heads = log.heads(tmp_path)
    assert [heads.see(log.signs(one)) for one in (5, 50, size)] == [[], [], []]
    for lied in (5, 17, size):
        (found,) = heads.see(log.signs(lied, b"\x07" * 32))
        assert (found.member, found.kind) == (WHO, "equivocation")
        assert log.proves(found)


def test_a_lie_waits_for_the_head_that_proves_it_and_survives_a_restart(log: Log, tmp_path: Path) -> None:
    size = log.grow()
    heads = log.heads(tmp_path)
    assert [one.kind for one in heads.see(log.signs(size, b"\x07" * 32))] == ["fork"]
    assert heads.see(log.signs(size - 1)) == []
    heads.save()
    again = log.heads(tmp_path)
    assert [one.kind for one in again.known] == ["fork"]
    (found,) = again.see(log.signs(log.grow()))
    assert found.kind == "equivocation"
    assert log.proves(found)
    again.save()
    assert [one.kind for one in log.heads(tmp_path).known] == ["equivocation"]


def test_a_head_beyond_the_copy_is_judged_when_the_copy_has_grown(log: Log, tmp_path: Path) -> None:
    size = log.records.durable[1]
    heads = log.heads(tmp_path)
    assert heads.see(log.signs(size + 2, b"\x07" * 32)) == []
    (both,) = heads.see(log.signs(size + 2, b"\x08" * 32))
    assert both.kind == "equivocation"
    assert log.proves(both)
    heads.save()
    log.grow(2)
    heads = log.heads(tmp_path)
    assert [one.kind for one in heads.known] == ["fork", "equivocation"]


def test_who_lies_without_end_fills_neither_memory_nor_disk(log: Log, tmp_path: Path) -> None:
    size = log.grow(10)
    heads = log.heads(tmp_path)
    heads.see(log.signs(size))
    told = 0
    for number in range(100):
        root = number.to_bytes(32, "big")
        told += len(heads.see(log.signs(size, root)))
        told += len(heads.see(log.signs(10**15 + number, root)))
        told += len(heads.see(log.signs(10**15, root)))
    heads.save()
    assert told <= 2 * MOST_LIES
    assert len((tmp_path / "heads.jsonl").read_bytes().splitlines()) <= 1 + MOST_AHEAD + MOST_LIES
    assert len([*(tmp_path / "evidence").iterdir()]) <= 2 * MOST_LIES
    # Heads far away keep no room from one that comes soon.
    assert heads.see(log.signs(size + 1, b"\x07" * 32)) == []
    log.grow()
    heads.save()
    assert str(size + 1).encode() in (tmp_path / "heads.jsonl").read_bytes()
