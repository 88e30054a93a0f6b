"""Fsck passes what was written, and names what was changed."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.store.drive import run_case, run_cases, verify_all
from tests.store.world import BUREAU, CREATED, World, signer
from tocsin.client.signing import cosign_checkpoint, sign_checkpoint
from tocsin.engine.ledger import Ledger
from tocsin.store.codec import decompress
from tocsin.store.fsck import Finding, fsck
from tocsin.store.store import Store
from tocsin.store.watermark import SignedHead
from tocsin.tlog import Checkpoint, checkpoint, note

CASES = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks: a little history, a checkpoint, and one just founded."""
    path = tmp_path_factory.mktemp("fsck") / "store.db"
    world, other = World(), World("health.example/tw/chiayi")
    with Store.open(path) as store:
        network = store.create_network(world.genesis_bytes, world.founding_bytes)
        store.create_network(other.genesis_bytes, other.founding_bytes)
        run_cases(world, Ledger(network), CASES)
        head = network.head
        at = Checkpoint(world.origin, head.size, head.root)
        lines = [sign_checkpoint(signer(world.origin, "", "log"), at)] + [
            cosign_checkpoint(signer(world.origin, name, "finality"), name, at, CREATED // 1000)
            for name in world.members
        ]
        network.put_checkpoint(head.size, note.format(checkpoint.format(at), lines))
        store.commit()
    return path


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Iterator[apsw.Connection]:
    """A copy to be damaged, without the triggers that forbid it."""
    path = tmp_path / "store.db"
    path.write_bytes(made.read_bytes())
    connection = apsw.Connection(str(path))
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    connection.close()


def check(path: str | Path, **options: object) -> list[Finding]:
    with Store.open(path, read_only=True) as store:
        return list(fsck(store, verify_all, **options))  # type: ignore[arg-type]


def test_a_block_with_evidence_of_the_engine_follows_from_what_is_stored(tmp_path: Path) -> None:
    """Whom the engine caught stands in the block's own leaves (spec 8.6)."""
    path = tmp_path / "store.db"
    world = World()
    with Store.open(path) as store:
        ledger = Ledger(store.create_network(world.genesis_bytes, world.founding_bytes))
        key = ledger.state.members[world.members[0]].keys.finality
        ledger.commit(ledger.propose(CREATED + 1000, [], caught=[key]))
        ledger.commit(ledger.propose(CREATED + 2000, [], caught=[key]))
        assert ledger.state.accounts[world.members[0]].stains == 2
        assert ledger.state.members[world.members[0]].status == "suspended"
        store.commit()
    assert check(path) == []


def test_clean(made: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    with Store.open(made, read_only=True) as store:
        assert list(fsck(store, verify_all, progress=lambda *args: seen.append(args))) == []
        assert list(fsck(store, verify_all, fast=True)) == []
    assert seen[-1] == ("health.example/tw/tainan", CASES + 1, CASES + 1)
    assert ("health.example/tw/chiayi", 1, 1) in seen


DAMAGE = [
    ("UPDATE block SET leaves = scratch(leaves, 60) WHERE net = 1 AND height = 2", "block 2", "cannot be read"),
    ("UPDATE block SET envelopes = substr(envelopes, 1, 99) WHERE net = 1 AND height = 2", "block 2", "cannot be read"),
    ("UPDATE block SET envelopes = CAST(envelopes || 'x' AS BLOB) WHERE net = 1 AND height = 2", "block 2",
     "cannot be read"),
    ("UPDATE segment SET data = scratch(data, 60) WHERE id = 2", "row old-message:", "cannot be decompressed"),
    ("UPDATE block SET leaves = flip(leaves, 400) WHERE net = 1 AND height = 2", "block 2", "lead to the root"),
    ("UPDATE block SET leaves = substr(leaves, 1, 100) WHERE net = 1 AND height = 2", "block 2", "cannot be read"),
    ("UPDATE block SET envelopes = flip(envelopes, 600) WHERE net = 1 AND height = 2", "block 2", "cannot be read"),
    ("UPDATE block SET envelopes = zeroblob(0) WHERE net = 1 AND height = 2", "block 2", "other leaves"),
    ("UPDATE block SET receipts = CAST('[[1]]' AS BLOB) WHERE net = 1 AND height = 2", "block 2", "other receipts"),
    ("UPDATE block SET root = zeroblob(32) WHERE net = 1 AND height = 3", "block 3", "lead to the root"),
    ("UPDATE block SET at = at - 5000 WHERE net = 1 AND height = 3", "block 3", "lies before"),
    ("UPDATE block SET at = at + 1 WHERE net = 1 AND height = 5", "block 5", "other leaves"),
    ("DELETE FROM block WHERE net = 1 AND height = 3", "block 4", "it has 4 after 12"),
    ("DELETE FROM block WHERE net = 1", "tainan", "no block"),
    ("UPDATE live SET value = flip(value, 30) WHERE net = 1 AND key = 'account:district-03'", "account:district-03",
     "not what the blocks"),
    ("DELETE FROM live WHERE net = 1 AND key = 'meta:'", "meta:", "missing"),
    ("INSERT INTO live (net, key, value) VALUES (1, 'order:x', zeroblob(1))", "order:x", "no such row"),
    ("DELETE FROM archive WHERE key = (SELECT min(key) FROM archive)", "archive", "1 archived rows are missing"),
    ("UPDATE archive SET place = place + 1 WHERE key = (SELECT min(key) FROM archive)", "row old-message:", ""),
    ("UPDATE segment SET data = flip(data, 100) WHERE id = 2", "row old-message:", "not what the blocks"),
    ("INSERT INTO archive VALUES (1, x'00ff', 0)", "row", "no block archived it"),
    ("DELETE FROM mention WHERE leaf = 4", "leaf 4", "missing in the index"),
    ("INSERT INTO mention VALUES (1, 0, 77, 3)", "leaf 3", "without reason"),
    ("INSERT INTO mention VALUES (1, 9, 77, 90000)", "index of ids", "beyond the log"),
    ("INSERT INTO tile (net, level, n, hashes) VALUES (1, 0, 0, zeroblob(8192))", "tiles", "1 more than"),
    ("INSERT INTO live (net, key, value) VALUES (7, 'meta:', zeroblob(1))", "table live", "belong to no network"),
    ("UPDATE checkpoint SET note = flip(note, 40)", "checkpoint 24", "does not verify"),
    ("UPDATE checkpoint SET size = 23", "checkpoint 23", "it is for size 24"),
    ("UPDATE network SET founding = flip(founding, 2000) WHERE net = 1", "founding", ""),
    ("UPDATE network SET genesis = flip(genesis, 2000) WHERE net = 1", "genesis", ""),
    ("UPDATE network SET origin = 'health.example/else' WHERE net = 1", "health.example/else genesis", "it is that of"),
]  # fmt: skip


def scratch(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(("sql", "where", "what"), DAMAGE, ids=[row[0][:60] for row in DAMAGE])
def test_damage_is_named(copy: apsw.Connection, sql: str, where: str, what: str) -> None:
    copy.create_scalar_function("scratch", scratch)
    copy.create_scalar_function("flip", lambda data, place: scratch(decompress(data), place))
    copy.execute(sql)
    assert copy.changes() > 0
    findings = check(copy.filename)
    assert any(where in one.where and what in one.what for one in findings), findings


def test_a_forged_ballot_is_found(copy: apsw.Connection) -> None:
    """A wrapper whose signature is another's decodes well; only verification tells."""
    ((stored,),) = copy.execute("SELECT envelopes FROM block WHERE net = 1 AND height = 2").fetchall()
    data = decompress(stored)
    world = World()
    at = CREATED + 2000
    mine = world.case(at, 1)[1]
    forged = world.sign(BUREAU, mine.acts, at).replace(b"x", b"x")
    assert mine.data in data
    key, sig = b'"sig":"', mine.data.index(b'"sig":"') + 7
    swapped = mine.data[:sig] + forged[forged.index(key) + 7 :][:88] + mine.data[sig + 88 :]
    copy.execute("UPDATE block SET envelopes = ? WHERE net = 1 AND height = 2", (data.replace(mine.data, swapped),))
    findings = check(copy.filename)
    assert any("BAD_SIGNATURE" in one.what for one in findings), findings
    assert check(copy.filename, fast=True) == []


def test_the_other_network_is_still_checked(copy: apsw.Connection) -> None:
    copy.execute("UPDATE block SET root = zeroblob(32)")
    origins = {one.where.split(" ")[0] for one in check(copy.filename)}
    assert origins == {"health.example/tw/tainan", "health.example/tw/chiayi"}
    assert {one.where.split(" ")[0] for one in check(copy.filename, origins=["health.example/tw/chiayi"])} == {
        "health.example/tw/chiayi"
    }


def test_a_damaged_page_is_found(made: Path, tmp_path: Path) -> None:
    data = bytearray(made.read_bytes())
    for page in range(3, len(data) // 8192):
        data[page * 8192 : page * 8192 + 8] = b"\xff" * 8
    path = tmp_path / "store.db"
    path.write_bytes(data)
    assert check(path)


def test_signed_heads_are_compared(made: Path) -> None:
    with Store.open(made, read_only=True) as store:
        network = store.network("health.example/tw/tainan")
        good = SignedHead(network.origin, network.head.size, network.head.root)
    assert check(made, signed={good.origin: good}) == []
    for bad, what in (
        (good._replace(root=bytes(32)), "another root"),
        (good._replace(size=99), "only 24 leaves"),
        (good._replace(origin="health.example/gone"), "does not hold it"),
    ):
        findings = check(made, signed={bad.origin: bad})
        assert len(findings) == 1
        assert what in findings[0].what


def test_a_store_that_is_written_meanwhile_is_checked_at_one_moment(store: Store, world: World) -> None:
    ledger = Ledger(store.create_network(world.genesis_bytes, world.founding_bytes))
    run_cases(world, ledger, 3)
    at = CREATED + 100_000

    def write_more(_: str, done: int, __: int) -> None:
        run_case(world, ledger, at + 1000 * done, done % 7)

    with Store.open(store.path, read_only=True) as reading:
        assert list(fsck(reading, verify_all, progress=write_more)) == []
    assert ledger.state.meta.height == 3 + 4
    assert check(store.path) == []
