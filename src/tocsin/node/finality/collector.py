"""The garbage collector of a process that hosts networks.

States, rows and envelopes are trees: nearly nothing in a node is ever garbage that only the collector could find. At
its usual pace it looks at them all the time nevertheless, which took an eighth of a replay and a fifth of an envelope.
"""

import gc

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 100
"""Objects made since the last look, and how many looks of one kind before one of the next."""


def calm() -> None:
    """Let it look less often. For the program that owns the process to call, once."""
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
