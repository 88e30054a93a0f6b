"""A store with a network in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.world import World
from tocsin.store.store import Store


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        yield opened
