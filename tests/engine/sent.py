"""A network of four validators, and what its members send to it."""

from tests.store.world import CREATED, World

AT = CREATED + 1000
WORLD = World(validators=4)


def case(at: int = AT) -> list[bytes]:
    return [envelope.data for envelope in WORLD.case(at)]


def report(member: str = "district-00", at: int = AT) -> bytes:
    return WORLD.report(member, at).data


def expired() -> bytes:
    return report(at=AT - 10_000_000)
