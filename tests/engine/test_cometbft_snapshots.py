"""Snapshots: the same bytes on every node, and nothing of one that lies is taken in."""

import shutil
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nacl.signing import SigningKey

from tests.store.drive import verify_all
from tests.store.world import World, signer
from tocsin.client.signing import SeedSigner
from tocsin.engine.cometbft import restore as restores
from tocsin.engine.cometbft import snapshots, wire
from tocsin.engine.cometbft.restore import Restore, SnapshotWrong
from tocsin.engine.cometbft.snapshots import (
    FORMAT,
    JournalBlock,
    Reader,
    Row,
    Snapshots,
    _cut,
    _hash,
    encode,
    pack,
    read_chunk,
)
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Verifier
from tocsin.kernel import block as kernel
from tocsin.kernel.digest import app_hash
from tocsin.kernel.envelope import Envelope, decode
from tocsin.store.fsck import fsck
from tocsin.store.moment import Moment
from tocsin.store.store import Store

EVERY = 8


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots each 8th changing block; a thousand would take minutes."""
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", EVERY)


class Made:
    """A snapshot of a small network without CometBFT, and the store to take it in."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.folder = folder
        self.store = Store.open(folder / "source.db")
        records = self.store.create_network(self.world.genesis_bytes, self.world.founding_bytes)
        ledger = Ledger(records)
        at = self.world.created
        while ledger.state.meta.changing % EVERY or ledger.state.meta.changing < 2 * EVERY:
            at += 1000
            turn = ledger.state.meta.changing % 7
            for part in (self.world.case(at, turn)[:2], self.world.case(at, turn)[2:]):
                if ledger.state.meta.changing < 2 * EVERY:
                    ledger.commit(ledger.propose(at, part))
        errors: list[Exception] = []
        snapshots = Snapshots(folder / "snapshots", Moment(self.store, records), records, errors.append)
        snapshots.take(100, ledger.state.meta.height)
        snapshots.wait()
        assert errors == []
        (self.snapshot,) = snapshots.offered()
        self.chunks = [read_chunk(snapshots.chunk(100, FORMAT, number)) for number in range(self.snapshot.chunks)]
        self.proven = app_hash(records.head.size, records.head.root)
        self.target = Store.open(folder / "target.db")
        self.network = self.target.create_network(self.world.genesis_bytes, self.world.founding_bytes)
        self.verifier = Verifier(1)

    def close(self) -> None:
        self.verifier.close()
        self.store.close()
        self.target.close()

    def offered(self, snapshot: wire.Snapshot) -> Restore:
        return Restore(self.folder / "incoming", snapshot, self.proven, self.network, self.verifier)

    def restore(self, chunks: list[bytes]) -> int:
        restore = self.offered(announced(chunks))
        for number, data in enumerate(chunks):
            assert restore.add(number, pack(data))
        assert restore.complete
        restore.finish()
        restore.write()
        return Ledger(self.network).state.meta.height


def announced(chunks: list[bytes], height: int = 100) -> wire.Snapshot:
    """An offer of chunks, as somebody makes it who has them."""
    hashes = [sha256(data).digest() for data in chunks]
    return wire.Snapshot(height, FORMAT, len(chunks), _hash(hashes), b"".join(hashes))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    # Small chunks, so that there are many, and blocks lie across them.
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 5_000)
    one = Made(tmp_path)
    assert len(one.chunks) > 10
    yield one
    one.close()


def test_what_is_taken_in_is_what_was_there(made: Made) -> None:
    assert made.restore(made.chunks) == 2 * EVERY - 1
    source = made.store.network(made.world.origin)
    assert list(made.network.blocks()) == list(source.blocks())
    archive = list(Moment(made.target, made.network).archive())
    assert archive == list(Moment(made.store, source).archive()) != []
    assert list(fsck(made.target, verify_all)) == []
    assert not (made.folder / "incoming").exists()


def test_the_same_bytes_on_every_node(made: Made, tmp_path: Path) -> None:
    made.restore(made.chunks)
    records = made.network
    again = Snapshots(tmp_path / "again", Moment(made.target, records), records, pytest.fail)
    again.take(100, records.head.height)
    again.wait()
    assert again.offered() == [made.snapshot]


def test_the_journals_chunks_are_hashed_once(made: Made, tmp_path: Path) -> None:
    """A later snapshot has the same chunks, but for the last one, and reads no block before it."""
    records = made.store.network(made.world.origin)

    class Counted:
        def __init__(self) -> None:
            self.read: list[int] = []

        def blocks(self, first: int = 0, last: int | None = None) -> Iterator[Any]:
            for block in records.blocks(first, last):
                self.read.append(block.height)
                yield block

    journal = Counted()
    one = Snapshots(tmp_path / "one", Moment(made.store, records), journal, pytest.fail)
    one.take(90, 5)
    one.wait()
    assert sorted(set(journal.read)) == [*range(6)]
    journal.read.clear()
    one.take(100, records.head.height)
    one.wait()
    assert min(journal.read) > 3
    assert one.offered()[1] == made.snapshot
    # What was begun in the middle of a block is read back from there.
    assert [read_chunk(one.chunk(100, FORMAT, number)) for number in range(made.snapshot.chunks)] == made.chunks
    first = one.offered()[0]
    assert [sha256(read_chunk(one.chunk(90, FORMAT, number))).digest() for number in range(first.chunks)] == [
        first.metadata[at : at + 32] for at in range(0, len(first.metadata), 32)
    ]


def test_two_are_kept_and_found_again(made: Made, tmp_path: Path) -> None:
    records = made.store.network(made.world.origin)
    one = Snapshots(tmp_path / "snapshots", Moment(made.store, records), records, pytest.fail)
    for height in (101, 102):
        one.take(height, records.head.height)
        one.wait()
    (tmp_path / "snapshots" / "103.part").mkdir()
    shutil.copytree(tmp_path / "snapshots" / "101", tmp_path / "snapshots" / "99")
    (tmp_path / "snapshots" / "99" / "contents").write_bytes(b"of an earlier release")
    again = Snapshots(tmp_path / "snapshots", Moment(made.store, records), records, pytest.fail)
    assert sorted(one.height for one in again.offered()) == [101, 102]
    assert again.oldest() == 101
    assert sorted(one.name for one in (tmp_path / "snapshots").iterdir()) == ["101", "102"]
    assert again.chunk(102, FORMAT, 0) == one.chunk(102, FORMAT, 0) != b""
    assert again.chunk(100, FORMAT, 0) == again.chunk(102, 1, 0) == again.chunk(102, FORMAT, 999) == b""


class Content:
    """What a snapshot says, to be changed: blocks and rows as lists of their fields."""

    def __init__(self, chunks: list[bytes]) -> None:
        reader = Reader()
        records = [record for chunk in chunks for record in reader.feed(chunk)]
        assert not reader.within
        self.blocks = [list(msgspec.structs.astuple(one)) for one in records if isinstance(one, JournalBlock)]
        self.rows = [[one.key, one.value] for one in records if isinstance(one, Row)]

    def chunks(self) -> list[bytes]:
        journal = [encode(JournalBlock(*block)) for block in self.blocks]
        return [*_cut(journal), *_cut([encode(Row(*row)) for row in self.rows])]

    def row(self, prefix: str) -> list[Any]:
        return next(row for row in self.rows if row[0].startswith(prefix))


def _live_row(content: Content) -> None:
    content.row("account:")[1] = b"{}"


def _less(content: Content) -> None:
    del content.rows[0]


def _more(content: Content) -> None:
    content.rows.insert(0, ["account:zz", b"{}"])


def archived_lie(content: Content) -> None:
    row = content.row("old-message:")
    row[1] = row[1].replace(b'"recorded"', b'"vetoed"')


def _archived_less(content: Content) -> None:
    content.rows.remove(content.row("old-"))


def _archived_more(content: Content) -> None:
    content.rows.append(["old-message:" + "0" * 64, b"{}"])


def _archived_twice(content: Content) -> None:
    content.rows.append(content.row("old-message:"))


def _archived_under_another_key(content: Content) -> None:
    row = content.row("old-message:")
    row[0] = "old-message:" + "0" * 64


def _no_sum(content: Content) -> None:
    content.rows.remove(content.row("archive:"))


def _leaf(content: Content) -> None:
    content.blocks[3][3][0] += b" "


def _receipt(content: Content) -> None:
    content.blocks[3][2] = content.blocks[3][2].replace(b"0", b"1", 1)


def _receipt_less(content: Content) -> None:
    content.blocks[3][2] = content.blocks[3][2].replace(b"[0]", b"[]", 1)


def _envelope(content: Content) -> None:
    content.blocks[3][4][0] = content.blocks[4][4][0]


def _signature(content: Content) -> None:
    data = content.blocks[3][4][0]
    place = data.index(b'"sig":"') + 10
    content.blocks[3][4][0] = data[:place] + (b"A" if data[place : place + 1] != b"A" else b"B") + data[place + 1 :]


def _signed_anew(content: Content, key: SeedSigner) -> None:
    data = content.blocks[3][4][0]
    envelope = decode(data)
    assert isinstance(envelope, Envelope)
    sig = b64encode(SigningKey(key.seed).sign(envelope.signed).signature)
    content.blocks[3][4][0] = data.replace(b64encode(envelope.signature), sig).replace(
        envelope.key.encode(), key.public_key.encode()
    )


def _signed_by_a_stranger(content: Content) -> None:
    """The same acts, whole and well signed, but not by their author."""
    _signed_anew(content, signer("health.example/stranger", "district-00", "act"))


def _signed_by_another_member(content: Content) -> None:
    _signed_anew(content, signer(World().origin, "district-06", "act"))


def _order(content: Content) -> None:
    content.blocks[3], content.blocks[4] = content.blocks[4], content.blocks[3]


def _time(content: Content) -> None:
    content.blocks[5][1] += 1


def _short(content: Content) -> None:
    del content.blocks[-1]


def _without_leaves(content: Content) -> None:
    content.blocks[3][3] = []


def _joined(content: Content) -> None:
    """Two blocks as one, which gives the same log."""
    one, two = content.blocks[3:5]
    content.blocks[3:5] = [[*two[:2], one[2][:-1] + b"," + two[2][1:], one[3] + two[3], one[4] + two[4]]]


def _type(content: Content) -> None:
    content.blocks[2][0] = "3"


_LIES = {
    _live_row: "live rows", _less: "live rows", _more: "live rows", archived_lie: "archived rows",
    _archived_less: "archived rows", _archived_more: "archived rows", _archived_twice: "archived rows",
    _archived_under_another_key: "archived rows", _no_sum: "live rows", _leaf: "app hash",
    _receipt: "block 3 is not what its leaf says", _receipt_less: "block 3 is not", _envelope: "block 3 is not",
    _signature: "signature", _signed_by_a_stranger: "key of its author",
    _signed_by_another_member: "key of its author", _order: "block 4 is not", _time: "block 5 is not",
    _short: "app hash", _without_leaves: "cannot be read", _joined: "block 4 is not", _type: "cannot be read",
}  # fmt: skip


@pytest.mark.parametrize("lie", _LIES)
def test_a_snapshot_that_lies_is_not_written(made: Made, lie: Callable[[Content], None]) -> None:
    content = Content(made.chunks)
    assert content.chunks() == made.chunks
    lie(content)
    with pytest.raises(SnapshotWrong, match=_LIES[lie]):
        made.restore(content.chunks())
    assert made.network.head.height == 0
    # The right one is still taken.
    assert made.restore(made.chunks) == 2 * EVERY - 1


def test_the_rows_end_a_snapshot(made: Made) -> None:
    content = Content(made.chunks)
    journal = list(_cut([encode(JournalBlock(*block)) for block in content.blocks]))
    rows = made.chunks[len(journal) :]
    with pytest.raises(SnapshotWrong, match="after the rows"):
        made.restore([*journal, *rows, *journal])
    # The log is known to be wrong when the first row comes.
    short = list(_cut([encode(JournalBlock(*block)) for block in content.blocks[:-1]]))
    restore = made.offered(announced([*short, *rows]))
    for number, chunk in enumerate(short):
        assert restore.add(number, pack(chunk))
    with pytest.raises(SnapshotWrong, match="app hash"):
        restore.add(len(short), pack(rows[0]))
    with pytest.raises(SnapshotWrong, match="within a record"):
        made.restore([*made.chunks[:-1], made.chunks[-1][:-1]])


def test_absurd_lengths(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 8)
    for length in (snapshots.MAX_RECORD + 1, 2**32 - 1):
        with pytest.raises(SnapshotWrong, match="is announced"):
            made.restore([length.to_bytes(4, "big") + b"abcd"])
    # A bomb: some kilobytes that would be a gigabyte.
    restore = made.offered(announced([b"x"]))
    assert not restore.add(0, zlib.compress(bytes(2**26), 9))
    assert not restore.add(0, pack(b"x") + b"x")
    assert not restore.add(0, pack(b"x")[:-1])
    assert not restore.add(0, b"")
    # A block of a million empty leaves in a megabyte, which would be many times as much in memory.
    many = encode(JournalBlock(0, 0, b"[]", [b""] * (snapshots.MAX_ITEMS + 1), []))
    with monkeypatch.context() as large:
        large.setattr(snapshots, "CHUNK_BYTES", 2**24)
        with pytest.raises(SnapshotWrong, match="length <= 1048576"):
            made.restore(list(_cut([many])))
    with monkeypatch.context() as few:
        few.setattr(snapshots, "CHUNK_BYTES", 5_000)
        few.setattr(restores, "_MAX_SIGNERS", 3)
        with pytest.raises(SnapshotWrong, match="more keys"):
            made.restore(made.chunks)
    monkeypatch.setattr(restores, "MAX_LIVE", 1000)
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 5_000)
    with pytest.raises(SnapshotWrong, match="more live rows"):
        made.restore(made.chunks)


def test_more_than_a_node_takes_is_refused_before_the_first_chunk(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = snapshots.MAX_CHUNKS + 1
    with pytest.raises(SnapshotWrong, match=f"names {many} chunks"):
        made.offered(wire.Snapshot(100, FORMAT, many, _hash([bytes(32)] * many), bytes(32) * many))
    for wrong in (
        made.snapshot._replace(chunks=0, metadata=b"", hash=_hash([])),
        made.snapshot._replace(chunks=made.snapshot.chunks + 1),
        made.snapshot._replace(metadata=made.snapshot.metadata + b"x"),
    ):
        with pytest.raises(SnapshotWrong, match="chunks, and"):
            made.offered(wrong)
    assert not (made.folder / "incoming").exists()
    # A snapshot of 128 GiB, if its offer is to be believed, and of one chunk more than fits. The free bytes are
    # told: others write to the real disk meanwhile.
    large = snapshots.MAX_CHUNKS
    fits = large * restores.CHUNK_BYTES * restores._DISK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=fits - 1))
    with pytest.raises(SnapshotWrong, match="MiB of disk"):
        made.offered(wire.Snapshot(100, FORMAT, large, _hash([bytes(32)] * large), bytes(32) * large))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(SnapshotWrong, match="and 0 are free"):
        made.offered(made.snapshot)


def test_of_another_network_or_over_blocks_of_ones_own(made: Made, tmp_path: Path) -> None:
    other = World("health.example/elsewhere")
    mine = made.network
    with Store.open(tmp_path / "other.db") as store:
        made.network = store.create_network(other.genesis_bytes, other.founding_bytes)
        with pytest.raises(SnapshotWrong, match="another network"):
            made.restore(made.chunks)
    made.network = mine
    ledger = Ledger(made.network)
    ledger.commit(ledger.propose(made.world.created, made.world.case(made.world.created)[:1]))
    with pytest.raises(SnapshotWrong, match="of its own"):
        made.restore(made.chunks)


def test_chunks_come_in_order_and_are_the_right_ones(made: Made) -> None:
    restore = made.offered(made.snapshot)
    assert not restore.add(1, pack(made.chunks[1]))
    assert not restore.add(0, pack(made.chunks[0] + b"x"))
    assert not restore.add(0, made.chunks[0])
    assert restore.senders == set()
    assert restore.add(0, pack(made.chunks[0]), "somebody")
    assert restore.senders == {"somebody"}
    assert not restore.complete
    for wrong in (made.snapshot._replace(format=1), made.snapshot._replace(hash=bytes(32))):
        with pytest.raises(SnapshotWrong):
            made.offered(wrong)
