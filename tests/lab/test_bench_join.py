"""The benchmark of a node that joins, in small: the whole way, with a real CometBFT on both sides."""

import tempfile
from pathlib import Path

import pytest

from tests.engine.comet import installed
from tocsin.kernel.block import SNAPSHOT_EVERY
from tocsin.lab.bench.net import joining
from tocsin.lab.bench.net.load import LoadFailed


@pytest.mark.slow
def test_a_node_joins_a_past_that_was_made() -> None:
    installed()
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        found = joining.measure(Path(folder), 200, 8, said.append)
    assert found.blocks == SNAPSHOT_EVERY - 1
    # Of each record its report and itself; then the reports that fill up, and the blocks' own.
    assert found.leaves > 2 * 200 + SNAPSHOT_EVERY
    assert found.join_s > found.fetch_s > 5, "CometBFT looks around for five seconds"
    assert found.store_bytes > found.fetched_bytes > 100_000
    for name, value in found._asdict().items():
        assert value > 0, name
    assert any("200 records" in line for line in said)


def test_a_full_disk_is_said_before(tmp_path: Path) -> None:
    installed()
    with pytest.raises(LoadFailed, match="GiB of disk"):
        joining.measure(tmp_path, 10**12, 8, print)
