"""Search seeded histories for differences: `python -m tests.oracle FIRST LAST [BLOCKS]`."""

import sys

from tests.kernel.histories import Story
from tests.kernel.networks import Chance, Seeded, some_network
from tests.oracle.beside import Difference, Pair


def play(seed: int, blocks: int) -> None:
    """One history. Raises Difference where kernel and oracle part."""
    chance = Chance(Seeded(seed))
    pair = Pair(some_network(chance))
    story = Story(chance, pair.oracle)
    for _ in range(blocks):
        pair.step(story.next())


def search(first: int, last: int, blocks: int) -> int:
    """Print each seed whose history is read differently; returns how many."""
    found = 0
    for seed in range(first, last):
        try:
            play(seed, blocks)
        except Difference as difference:
            found += 1
            print(f"seed {seed}, {difference}\n")
    print(f"{found} of {last - first} histories differ")
    return found


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(search(numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 60) > 0)
