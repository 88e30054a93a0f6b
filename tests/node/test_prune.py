"""A node whose CometBFT forgets its old blocks, by one word of its configuration; the log stays whole."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.comet import installed
from tests.node.net import now, until
from tests.store.drive import verify_all
from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.cometbft.rpc import Rpc
from tocsin.kernel import block as kernel
from tocsin.kernel.acts import Present
from tocsin.node.agency import Agency
from tocsin.node.home import config as configs
from tocsin.node.home import places
from tocsin.node.keys import Keystore
from tocsin.node.station import Live
from tocsin.node.trial import testnet
from tocsin.node.web.remote import Remote, caller
from tocsin.store.fsck import fsck
from tocsin.store.store import Store

NETS = testnet.shape(2, [1])
ORIGIN = NETS[0].origin
PRUNES, KEEPS = NETS[0].own


def earliest(live: Live) -> int:
    """The first block that a node's CometBFT still has."""
    assert isinstance(live.engine, CometEngine)
    rpc = Rpc(live.engine.rpc)
    try:
        return int(rpc.call("status")["sync_info"]["earliest_block_height"])
    finally:
        rpc.close()


def test_cometbft_forgets_what_snapshots_cover_where_the_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed()
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", 2)
    folder = tmp_path / "t"
    tree = testnet.write(folder, NETS, "cometbft", block_ms=100)
    keys = Keystore.open(folder / "keys.json", warn=lambda _: None)
    path = folder / PRUNES / configs.NAME
    path.write_text(path.read_text().replace("one-host = true\n", "one-host = true\nprune = true\n"))
    with ExitStack() as stack:
        stations = {}
        for name in (PRUNES, KEEPS):
            agency = Agency(configs.load(folder / name), keys, now, lambda *_: None)
            agency.start()
            stack.callback(agency.stop)
            stations[name] = agency.stations[ORIGIN]
        until(lambda: all(one.live is not None for one in stations.values()))
        remote = Remote(stack.enter_context(caller()), tree.node(PRUNES).url, ORIGIN)
        lives = {name: one.live for name, one in stations.items()}
        prunes, keeps = lives[PRUNES], lives[KEEPS]
        assert prunes is not None
        assert keeps is not None
        days = 0

        def forgotten() -> bool:
            nonlocal days
            days += 1
            testnet.act(keys, remote, PRUNES, [Present(days)])
            return earliest(prunes) > 1

        until(forgotten)
        assert earliest(keeps) == 1
        # Of the log and its blocks nothing is gone.
        assert [block.height for block in remote.blocks(0)] == list(range(1, prunes.engine.final() + 1))
    with Store.open(places.database(configs.load(folder / PRUNES).data_dir, ORIGIN), read_only=True) as store:
        assert list(fsck(store, verify_all)) == []
