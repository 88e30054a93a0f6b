"""What is stored is read back: leaves, tiles, proofs, blocks, ids, rows, checkpoints, staged or on disk."""

import threading
from pathlib import Path

import pytest

from tests.store.drive import run_case, run_cases
from tests.store.world import CREATED, World
from tocsin.engine.ledger import Ledger
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import message_id
from tocsin.kernel.rows import OLD_INCIDENT, OLD_MESSAGE, ORIGINAL
from tocsin.store.codec import pack, pack_key, unpack, unpack_key
from tocsin.store.errors import StoreCorrupt
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store
from tocsin.tlog.merkle import leaf_hash, tree_root, verify_consistency, verify_inclusion
from tocsin.tlog.tiles import TileEdge, decode_bundle

CASES = 90
SIZE = 4 + 4 * CASES


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of more than one full tile."""
    path = tmp_path_factory.mktemp("store") / "store.db"
    world = World()
    with Store.open(path) as store:
        ledger = Ledger(store.create_network(world.genesis_bytes, world.founding_bytes))
        with store.transaction():
            run_cases(world, ledger, CASES)
    return path


def all_leaves(network: NetworkStore) -> list[bytes]:
    return [leaf for block in network.blocks() for leaf in block.leaves]


def check_log(network: NetworkStore) -> None:
    leaves = all_leaves(network)
    hashes = [leaf_hash(leaf) for leaf in leaves]
    size = len(leaves)
    assert network.head.size == size
    assert network.leaves(0, size) == leaves
    assert network.leaves(5, 9) == leaves[5:9]
    assert network.leaf(size - 1) == leaves[-1]
    for at in (1, 4, 255, 256, 257, size):
        if at > size:
            continue
        root = network.root(at)
        assert root == tree_root(hashes[:at])
        for index in {0, at // 2, at - 1}:
            assert verify_inclusion(index, at, hashes[index], network.inclusion(index, at), root)
        assert verify_consistency(at, size, root, network.head.root, network.consistency(at, size))
        assert TileEdge.load(at, network.tile).frontier().root() == root
    for index, start in enumerate(range(0, size, 256)):
        width = min(256, size - start)
        assert network.tile(0, index, width) == b"".join(hashes[start : start + width])
        assert decode_bundle(network.bundle(index, width), width) == tuple(leaves[start : start + width])


def test_the_log_reads_back(path: Path) -> None:
    with Store.open(path, read_only=True) as store:
        network = store.network("health.example/tw/tainan")
        assert network.head.size == SIZE
        check_log(network)
        for bad in (lambda: network.leaf(SIZE), lambda: network.leaves(-1, 2), lambda: network.leaves(3, 2)):
            with pytest.raises(IndexError):
                bad()
        for level, index, width in ((0, 1, SIZE - 255), (1, 0, 2), (0, 2, 1), (9, 0, 1), (0, -1, 1), (0, 0, 257)):
            with pytest.raises(IndexError):
                network.tile(level, index, width)
        with pytest.raises(ValueError, match="not in a tree"):
            network.inclusion(5, 5)
        with pytest.raises(IndexError):
            network.root(SIZE + 1)


def test_staged_blocks_read_like_stored_ones(tmp_path: Path, path: Path) -> None:
    """The same history, none of it on disk yet, part of it, all of it."""
    world = World()
    with Store.open(path, read_only=True) as done:
        wanted = all_leaves(done.network(world.origin))
    with Store.open(tmp_path / "store.db") as store:
        network = store.create_network(world.genesis_bytes, world.founding_bytes)
        ledger = Ledger(network)
        run_cases(world, ledger, 30)
        with store.transaction():
            for number in range(30, CASES):
                message = run_case(world, ledger, CREATED + 1000 + 1000 * number, number % 7)
            check_log(network)
            assert all_leaves(network) == wanted
            assert network.durable == (30, 124)
            assert network.load_state().digest() == ledger.state.digest()
            assert network.archived([OLD_MESSAGE + message])[OLD_MESSAGE + message] is not None
            assert network.find(message) == [SIZE - 4, SIZE - 3]
            assert network.block_of_leaf(SIZE - 1).height == CASES
            assert network.block_of_leaf(50).height == 12
            assert [block.height for block in network.blocks(29, 32)] == [29, 30, 31, 32]
            assert network.leaves(120, 130) == wanted[120:130]
        check_log(network)
        assert network.durable == (CASES, SIZE)
        assert all_leaves(network) == wanted
        assert network.find(message) == [SIZE - 4, SIZE - 3]


def test_a_network_created_in_a_transaction_reads_before_its_end(store: Store, world: World) -> None:
    with store.transaction():
        network = store.create_network(world.genesis_bytes, world.founding_bytes)
        assert store.networks() == []
        assert (network.genesis, network.founding) == (world.genesis_bytes, world.founding_bytes)
        run_case(world, Ledger(network), CREATED + 1000)
        with pytest.raises(ValueError, match="already"):
            store.create_network(world.genesis_bytes, world.founding_bytes)
    assert [(one.origin, one.height, one.size) for one in store.networks()] == [(world.origin, 1, 8)]
    assert (network.genesis, network.founding) == (world.genesis_bytes, world.founding_bytes)
    with pytest.raises(ValueError, match="already"):
        store.create_network(world.genesis_bytes, world.founding_bytes)
    with pytest.raises(KeyError, match="tocsin networks"):
        store.network("health.example/nowhere")


def test_reopening_goes_on_identically(tmp_path: Path, world: World) -> None:
    path = tmp_path / "store.db"
    roots = []
    with Store.open(path) as store:
        ledger = Ledger(store.create_network(world.genesis_bytes, world.founding_bytes))
        run_cases(world, ledger, 6)
        roots.append(ledger.root(ledger.state.meta.size))
    path.unlink()
    with Store.open(path) as store:
        store.create_network(world.genesis_bytes, world.founding_bytes)
    for number in range(6):
        with Store.open(path) as store:
            ledger = Ledger(store.network(world.origin))
            run_case(world, ledger, CREATED + 1000 + 1000 * number, number % 7)
            last = ledger.root(ledger.state.meta.size)
    assert roots == [last]


def test_blocks_ids_and_acts(path: Path) -> None:
    world = World()
    with Store.open(path, read_only=True) as store:
        network = store.network(world.origin)
        at = CREATED + 1000 + 1000 * 40
        case = world.case(at, 40 % 7)
        message = message_id(case[0].digest, 0)
        opened, recorded = network.find(message)
        assert b'"leaf":"opened"' in network.leaf(opened)
        assert b'"leaf":"recorded"' in network.leaf(recorded)
        block = network.block_of_leaf(opened)
        assert (block.height, block.at, block.envelopes) == (41, at, [one.data for one in case])
        assert block.receipts == [[0]] * 7
        assert block.root == network.root(block.size)
        assert network.block(41) == block
        assert network.block(CASES + 1) is None
        assert network.find("ab" * 32) == []
        assert network.landmarks() == [0, 1, 2]

        acts = {(one.header.author, one.act_digests[0]): position for position, one in enumerate(case)}
        assert len({digest for _, digest in acts}) == 2
        found = network.find_acts(acts, at, at)
        assert {act: (place.height, place.position, place.act) for act, place in found.items()} == {
            act: (41, position, 0) for act, position in acts.items()
        }
        assert len(network.find_acts(acts, at, at, about=message)) == 6
        assert network.find_acts(acts, at + 1, at + 5000, about=message) == {}
        assert network.find_acts(acts, 0, at - 1, about=message) == {}

        state = network.load_state()
        assert network.find_receipt(state, case[3].digest) == (41, 3, [0])
        assert network.find_receipt(state, "00" * 32) is None


def test_archived_rows_take_their_last_value(store: Store, world: World) -> None:
    network = store.create_network(world.genesis_bytes, world.founding_bytes)
    keys = [OLD_MESSAGE + "ab" * 32, OLD_INCIDENT + "cd" * 32, ORIGINAL + "ab" * 32 + ":" + "cd" * 32, "original:odd"]
    for height, size in ((1, 10), (2, 30_000), (3, 50)):
        writes = [(key, f"{height}{key}".encode() * size) for key in keys]
        network.append(Outcome(height, CREATED + height, True, [], [], [], [b'{"leaf":"block"}'], writes, {}))
        for _ in range(2):
            assert network.archived([*keys, OLD_MESSAGE + "00" * 32]) == dict(writes) | {OLD_MESSAGE + "00" * 32: None}
            store.commit()


def test_keys_and_lists_pack_and_unpack() -> None:
    for key in (
        OLD_MESSAGE + "ab" * 32, ORIGINAL + "ab" * 32 + ":" + "cd" * 32, OLD_MESSAGE + "AB" * 32, OLD_MESSAGE,
        OLD_MESSAGE + "zz" * 32, "original:evidence:x", "",
    ):  # fmt: skip
        assert unpack_key(pack_key(key)) == key
    assert len(pack_key(OLD_MESSAGE + "ab" * 32)) == 33
    assert len({pack_key(key) for key in (OLD_MESSAGE + "ab" * 32, OLD_INCIDENT + "ab" * 32)}) == 2
    assert unpack(pack([b"", b"a", b"bc" * 200], 2), 2) == [b"", b"a", b"bc" * 200]
    for cut in (b"\0", b"\0\2a"):
        with pytest.raises(StoreCorrupt):
            unpack(cut, 2)


def test_what_cannot_follow_is_refused(store: Store, world: World) -> None:
    network = store.create_network(world.genesis_bytes, world.founding_bytes)
    good = Outcome(1, CREATED + 1, True, [], [], [], [b'{"leaf":"block"}'], [], {})
    for bad in (
        good._replace(changed=False), good._replace(leaves=[]), good._replace(height=0), good._replace(at=CREATED - 1),
        good._replace(leaves=[bytes(65_536)]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"block|leaf"):
            network.append(bad)
    assert network.head.height == 0


def test_checkpoints(store: Store, world: World) -> None:
    network = store.create_network(world.genesis_bytes, world.founding_bytes)
    assert network.checkpoint() is None
    run_cases(world, Ledger(network), 3)
    network.put_checkpoint(4, b"four", keep=True)
    store.commit()
    network.put_checkpoint(8, b"eight")
    with pytest.raises(ValueError, match="no checkpoint of size 17"):
        network.put_checkpoint(17, b"beyond")
    found = network.checkpoint()
    assert found is not None
    assert (found.size, found.note, found.kept) == (8, b"eight", False)
    store.commit()
    network.put_checkpoint(8, b"eight, cosigned")
    network.put_checkpoint(12, b"twelve")
    store.commit()
    assert [tuple(one) for one in network.checkpoints()] == [(4, b"four", True), (12, b"twelve", False)]
    again = network.checkpoint(4)
    assert again is not None
    assert again.note == b"four"
    assert network.checkpoint(8) is None


def test_readers_in_other_threads(store: Store, world: World) -> None:
    """One thread commits, others read proofs of what was final; nobody sees half a block."""
    network = store.create_network(world.genesis_bytes, world.founding_bytes)
    ledger = Ledger(network)
    wrong: list[object] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            _, size = network.durable
            index = size - 1
            leaf = network.leaf(index)
            if not verify_inclusion(index, size, leaf_hash(leaf), network.inclusion(index, size), network.root(size)):
                wrong.append(size)
            if network.block_of_leaf(index).leaves[-1] != leaf:
                wrong.append(index)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    run_cases(world, ledger, 80)
    over.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_another_threads_transaction_holds_up_no_commit(store: Store, world: World) -> None:
    """An engine that flushes must find its block on disk, whatever a slow transaction elsewhere still gathers."""
    other = World("health.example/other")
    mine, theirs = (store.create_network(one.genesis_bytes, one.founding_bytes) for one in (world, other))
    opened, committed = threading.Event(), threading.Event()

    def gather() -> None:
        with store.transaction():
            run_case(other, Ledger(theirs), CREATED + 1000)
            opened.set()
            assert committed.wait(300)
            run_case(other, Ledger(theirs), CREATED + 2000, 1)

    slow = threading.Thread(target=gather)
    slow.start()
    assert opened.wait(300)
    run_case(world, Ledger(mine), CREATED + 1000)
    assert mine.durable == (1, 8)
    committed.set()
    slow.join()
    assert theirs.durable == (2, 12)


def test_leaves_that_disagree_with_their_root_do_not_open(tmp_path: Path, path: Path) -> None:
    import apsw

    copy = tmp_path / "store.db"
    copy.write_bytes(path.read_bytes())
    connection = apsw.Connection(str(copy))
    connection.execute("DROP TRIGGER block_stays")
    connection.execute("UPDATE block SET root = zeroblob(32) WHERE height = ?", (CASES,))
    connection.close()
    with Store.open(copy) as store, pytest.raises(StoreCorrupt, match="never sign on"):
        Ledger(store.network("health.example/tw/tainan"))
