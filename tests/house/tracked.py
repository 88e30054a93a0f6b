"""The files that git tracks, for the tests of the house."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT


@cache
def _listed() -> tuple[Path, ...] | None:
    if not (ROOT / ".git").exists():
        return None
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return tuple(ROOT / name for name in done.stdout.split("\0") if name) if done.returncode == 0 else None


def tracked(*suffixes: str) -> list[Path]:
    """Tracked files with one of these suffixes that are on disk; skips where there is no git checkout."""
    listed = _listed()
    if listed is None:
        pytest.skip("not a git checkout, so nobody knows which files belong to the project")
    return [path for path in listed if path.suffix in suffixes and path.is_file()]


def shown(path: Path) -> str:
    """A path as a reader of the project knows it."""
    return str(path.relative_to(ROOT))
