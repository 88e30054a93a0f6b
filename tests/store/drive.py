"""Drive a network of the test world for a while."""

from tests.store.world import CREATED, World
from tocsin.engine.ed25519 import holds
from tocsin.engine.ledger import Ledger
from tocsin.kernel.genesis import Check
from tocsin.kernel.reasons import Reason


def verify_all(rows: list[list[Check]]) -> list[list[bool]]:
    """Check signatures, the plain way."""
    return [[holds(check) for check in row] for row in rows]


def run_case(world: World, ledger: Ledger, at: int, author: int = 0) -> str:
    """One block with a report and all ballots; the message's id."""
    outcome = ledger.propose(at, world.case(at, author))
    assert outcome.receipts == [[Reason.ACCEPTED]] * 7
    ledger.commit(outcome)
    return next(key.partition(":")[2] for key, _ in outcome.writes if key.startswith("old-message:"))


def run_cases(world: World, ledger: Ledger, cases: int, start: int = CREATED + 1000) -> list[str]:
    """A block a second; the ids of the records."""
    return [run_case(world, ledger, start + 1000 * number, number % 7) for number in range(cases)]
