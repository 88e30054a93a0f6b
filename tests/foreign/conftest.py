from pathlib import Path

import pytest

from tests.foreign import toolchain


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the foreign verifiers, ``foreign`` and ``fsck``."""
    try:
        return toolchain.build(toolchain.find_go())
    except toolchain.Missing as missing:
        pytest.skip(str(missing))
