"""The whole 2015 replay of Taiwan, as `tocsin replay dengue-taiwan` runs it, timed."""

import time
from collections.abc import Callable
from pathlib import Path

from tocsin.lab import study
from tocsin.lab.sources import SourceError, load


def measure(folder: Path, progress: Callable[[], None]) -> float | None:
    """Seconds from reading the source to the last checkpoint; None where its data are not installed."""
    start = time.perf_counter()
    try:
        archive = load("dengue-taiwan")
    except SourceError:
        return None
    study.run(study.plan(archive), ("pilot",), folder, lambda _: progress())
    return time.perf_counter() - start
