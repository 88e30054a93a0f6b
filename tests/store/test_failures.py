"""A full disk, a read-only file system, a foreign or newer file: a sentence, no act taken, history intact."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.store.drive import run_case, run_cases, verify_all
from tests.store.faults import FaultVFS, Plan
from tests.store.world import CREATED, World
from tocsin.engine.ledger import Ledger, LedgerStale
from tocsin.store import database, errors
from tocsin.store.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreStale,
    StoreVersion,
)
from tocsin.store.fsck import fsck
from tocsin.store.store import Store


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let the test mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk(small_disk: Path, world: World) -> None:
    path = small_disk / "store.db"
    at, taken = CREATED, 0
    with Store.open(path) as store:
        network = store.create_network(world.genesis_bytes, world.founding_bytes)
        ledger = Ledger(network)
        full = ""
        while not full:
            at += 1000
            try:
                run_case(world, ledger, at, taken % 7)
            except StoreFull as error:
                full = str(error)
            else:
                taken += 1
        assert "free some space" in full
        assert taken > 20
        # No act is taken any more, and what was final can be read.
        with pytest.raises(LedgerStale):
            ledger.propose(at, world.case(at))
        with pytest.raises(StoreStale):
            Ledger(network).commit(Ledger(network).propose(at, world.case(at)))
        with pytest.raises(StoreStale):
            store.create_network(b"", b"")
        assert network.head.height == taken
        block = network.block(taken)
        assert block is not None
        assert network.leaf(block.size - 1) == block.leaves[-1]
        assert network.inclusion(0, block.size)
        root = network.root(block.size)
    # With space again it goes on where it was.
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    with Store.open(path) as store:
        assert list(fsck(store, verify_all, fast=True)) == []
        network = store.network(world.origin)
        assert (network.head.height, network.head.root) == (taken, root)
        run_case(world, Ledger(network), at + 1000)


def test_read_only_file_system(small_disk: Path, world: World) -> None:
    path = small_disk / "store.db"
    with Store.open(path) as store:
        network = store.create_network(world.genesis_bytes, world.founding_bytes)
        run_cases(world, Ledger(network), 3)
        head = network.head
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreReadOnly, match="read-only"):
        Store.open(path)
    with Store.open(path, read_only=True) as store:
        network = store.network(world.origin)
        assert network.head.root == head.root
        assert network.inclusion(3, head.size)
        assert list(fsck(store, verify_all, fast=True)) == []
        with pytest.raises(StoreReadOnly):
            store.create_network(world.genesis_bytes, world.founding_bytes)
        with pytest.raises(StoreReadOnly):
            run_case(world, Ledger(network), CREATED + 9000)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (apsw.FullError, StoreFull),
        (apsw.ReadOnlyError, StoreReadOnly),
        (apsw.IOError, StoreError),
    ],
)
def test_failing_writes(tmp_path: Path, world: World, raised: type[apsw.Error], expected: type[StoreError]) -> None:
    """The same without a file system of its own: writes fail in the middle of a group commit."""
    plan = Plan()
    shim = FaultVFS("failing", plan)
    path = tmp_path / "store.db"
    with Store.open(path, vfs=shim.name) as store:
        first = store.create_network(world.genesis_bytes, world.founding_bytes)
        other = World("health.example/other")
        second = store.create_network(other.genesis_bytes, other.founding_bytes)
        ledgers = [Ledger(first), Ledger(second)]
        run_cases(world, ledgers[0], 2)
        before = [network.head for network in (first, second)]

        def one_commit_for_both() -> None:
            with store.transaction():
                run_case(world, ledgers[0], CREATED + 60_000)
                run_case(other, ledgers[1], CREATED + 60_000)

        plan.error = raised
        with pytest.raises(expected):
            one_commit_for_both()
        plan.error = None
        assert [network.head for network in (first, second)] == before
        with pytest.raises(StoreStale):
            first.put_checkpoint(1, b"x")
        with pytest.raises(StoreStale):
            store.commit()
    shim.unregister()
    with Store.open(path) as store:
        assert list(fsck(store, verify_all)) == []
        assert store.network(world.origin).head == before[0]


def test_a_broken_transaction_stops_the_store(store: Store, world: World) -> None:
    network = store.create_network(world.genesis_bytes, world.founding_bytes)
    ledger = Ledger(network)

    def broken() -> None:
        with store.transaction():
            run_case(world, ledger, CREATED + 1000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert network.head.height == 0
    with pytest.raises(LedgerStale):
        ledger.propose(CREATED + 2000, [])
    with pytest.raises(StoreStale, match="broke off"):
        store.commit()


def test_one_writer(store: Store) -> None:
    with pytest.raises(StoreBusy, match="two would fork"):
        Store.open(store.path)
    Store.open(store.path, read_only=True).close()


def test_newer_foreign_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with pytest.raises(StoreError, match="no store at"):
        Store.open(path, read_only=True)
    Store.open(path).close()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    for read_only in (False, True):
        with pytest.raises(StoreVersion, match="newer release"):
            Store.open(path, read_only=read_only)
    other = tmp_path / "other.db"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE someone_elses (x)")
    connection.close()
    with pytest.raises(StoreVersion, match="no store of Tocsin"):
        Store.open(other)
    text = tmp_path / "text"
    text.write_text("dear diary" * 1000)
    with pytest.raises(StoreCorrupt):
        Store.open(text)
    with pytest.raises(StoreReadOnly, match="directory"):
        Store.open(tmp_path / "nowhere" / "store.db")


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.9.2")
    with pytest.raises(StoreError, match=r"3\.53\.0"):
        Store.open(tmp_path / "store.db")


def test_migrations_from_every_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = database.migrations()
    for version in range(len(scripts) + 1):
        path = tmp_path / f"{version}.db"
        monkeypatch.setattr(database, "migrations", lambda kept=scripts[:version]: kept)
        database.open_writer(path).close()
        monkeypatch.setattr(database, "migrations", lambda: scripts)
        with Store.open(path) as store:
            assert store.networks() == []
        connection = apsw.Connection(str(path))
        assert connection.pragma("user_version") == len(scripts)
        connection.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = database.migrations()
    path = tmp_path / "store.db"
    Store.open(path).close()
    monkeypatch.setattr(database, "migrations", lambda: [*scripts, "CREATE TABLE fresh (x); SELECT nonsense;"])
    with pytest.raises(apsw.SQLError):
        Store.open(path)
    monkeypatch.setattr(database, "migrations", lambda: scripts)
    Store.open(path).close()


def test_history_is_immutable(store: Store, world: World) -> None:
    run_cases(world, Ledger(store.create_network(world.genesis_bytes, world.founding_bytes)), 2)
    connection = apsw.Connection(str(store.path))
    for table, column in (("network", "origin"), ("block", "at"), ("segment", "id")):
        for sql in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            with pytest.raises(apsw.ConstraintError, match="never"):
                connection.execute(sql)
    connection.close()


def test_what_sqlite_says_becomes_a_sentence() -> None:
    for raised, expected in (
        (apsw.CorruptError("x"), StoreCorrupt),
        (apsw.BusyError("x"), StoreBusy),
        (apsw.CantOpenError("x"), StoreError),
    ):
        assert type(errors.typed(raised, "p")) is expected
    assert type(errors.typed(apsw.IOError("x"), "p", 28)) is StoreFull
    assert type(errors.typed(apsw.IOError("x"), "p", 30)) is StoreReadOnly
