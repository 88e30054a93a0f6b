"""The validator's key comes to CometBFT through a pipe: no file, and so no backup, has it."""

import os
import signal
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engine.comet import CometBench, now
from tests.engine.conformance import receipt


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[CometBench]:
    made = CometBench(tmp_path / "node")
    yield made
    made.close()


def holding(folder: Path, seed: bytes) -> list[Path]:
    """Files in which a key stands, as it is or as CometBFT or we write one."""
    # Base64 of what begins at a place divisible by three does not depend on what follows, but for the last character.
    forms = [seed, seed.hex().encode(), b64encode(seed)[:-2]]
    found = []
    for path in folder.rglob("*"):
        # CometBFT writes files beside those that they replace: one may be gone before it is read.
        with suppress(FileNotFoundError):
            if path.is_file() and any(form in path.read_bytes() for form in forms):
                found.append(path)
    return found


def test_the_key_of_a_validator_stands_in_no_file(bench: CometBench, tmp_path: Path) -> None:
    settings, process = bench.settings, bench.engine.process
    assert settings.validator is not None
    receipt(bench.engine.submit(bench.world.present("district-00", 1, now()).data))
    assert holding(tmp_path, settings.validator) == []
    # The search finds keys: that of the node, which is nobody's secret from who has the machine, is there.
    assert [path.name for path in holding(tmp_path, settings.node)] == ["node_key.json"]
    # Each CometBFT gets it anew, and votes: here it is the only one who can.
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    receipt(bench.engine.submit(bench.world.present("district-01", 1, now()).data))
    assert process.starts == 2
    assert holding(tmp_path, settings.validator) == []


def test_one_that_an_earlier_release_wrote_is_removed(bench: CometBench) -> None:
    path = bench.settings.folder / "config" / "priv_validator_key.json"
    path.write_text("{}")
    bench.restart()
    assert not path.exists()
