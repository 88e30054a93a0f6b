"""Two applications of one network, each behind a real socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.abci import Driver
from tests.engine.sent import AT, WORLD


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(WORLD, tmp_path / "one")
    driver.init()
    driver.now = AT
    yield driver
    driver.close()
    assert driver.errors == []


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(WORLD, tmp_path / "two")
    driver.init()
    yield driver
    driver.close()
