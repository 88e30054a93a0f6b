"""What every test of nodes needs."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.node.net import free_ports
from tocsin.node.trial import testnet


@pytest.fixture(scope="module", autouse=True)
def _ports_are_kept() -> Iterator[None]:
    """Nodes listen some seconds after their ports were found: others that look for one meanwhile must not find these."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(testnet, "_free_ports", lambda count: stack.enter_context(free_ports(count)))
        yield
