"""CometBFT for tests: installed by the command that a user would run, and real."""

from functools import cache
from pathlib import Path

import pytest

from tocsin.engine.cometbft import install
from tocsin.engine.cometbft.install import EngineMissing


@cache
def _installed() -> Path | str:
    try:
        return install.install(say=print)
    except EngineMissing as error:
        return str(error)


def installed() -> Path:
    """The program; skips, with the reason, where it cannot be built."""
    found = _installed()
    if isinstance(found, str):
        pytest.skip(found)
    return found
