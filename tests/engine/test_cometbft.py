"""CometBFT as an engine, with the real process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.comet import CometBench
from tests.engine.conformance import Bench, EngineConformance
from tocsin.engine.port import Engine


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[CometBench]:
    made = CometBench(tmp_path)
    yield made
    made.close()


class TestCometBFT(EngineConformance):
    """Everything the port demands, of one validator."""


def test_it_is_an_engine(bench: CometBench) -> None:
    port: Engine = bench.engine
    driven: Bench = bench
    assert port is driven.engine
