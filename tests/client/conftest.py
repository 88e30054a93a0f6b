"""Worlds that the tests share."""

import pytest

from tests.client.histories import HISTORIES, two_levels_made
from tests.client.world import World


@pytest.fixture(scope="session")
def worlds() -> dict[str, tuple[World, str]]:
    """One world of each history, not to be changed."""
    made = {name: make() for name, make in HISTORIES.items()}
    for world, message in made.values():
        assert world.verify(message).ok
    return made


@pytest.fixture(scope="session")
def two_levels() -> tuple[World, World, str, str]:
    """A county and the nation above it, and one record in both; not to be changed."""
    return two_levels_made()


@pytest.fixture(scope="session")
def small() -> tuple[World, bytes]:
    world = World()
    return world, world.dossier(world.recorded())
