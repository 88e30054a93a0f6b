"""Every threshold of the protocol, in integers, each named once (spec 6.4, spec 10)."""

from functools import lru_cache


@lru_cache(maxsize=1024)
def need(num: int, den: int, strict: bool, at_least: int, size: int) -> int:
    """Smallest number of endorsements that passes an electorate of `size` (spec 6.4).

    Never capped by `size`: a need above it means that the rule cannot pass.
    """
    share = num * size
    smallest = share // den + 1 if strict else -(-share // den)
    return max(smallest, at_least)


def tolerated(members: int) -> int:
    """f: how many members may lie or be lost while the network goes on (spec 10)."""
    return max(0, (members - 1) // 3)


def finality(members: int) -> int:
    """k: finality signatures that make a checkpoint final (spec 10)."""
    return (members + tolerated(members)) // 2 + 1
