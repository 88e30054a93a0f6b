"""The real archives, read once; tests that need one skip where it is not on this machine."""

import pytest

from tests.paths import SHARED
from tocsin.lab.archive import Archive
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.sources import SourceError, load
from tocsin.lab.truth import Truth


@pytest.fixture(scope="session")
def taiwan() -> Archive:
    try:
        return load("dengue-taiwan")
    except SourceError as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="session")
def taiwan_knowledge(taiwan: Archive) -> Knowledge:
    return Knowledge(taiwan)


@pytest.fixture(scope="session")
def taiwan_truth(taiwan: Archive) -> Truth:
    return Truth(taiwan)


@pytest.fixture(scope="session")
def germany() -> Archive:
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the reference data folder is not beside the checkout")
    return load("hepatitis-a-germany", folder=folder)
