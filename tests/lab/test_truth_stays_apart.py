"""Whoever must not know the truth does not even load it."""

import subprocess
import sys

import pytest

TRUTH = ("truth", "scoring", "accuracy", "references")
BLIND = (
    "tocsin.judges.port", "tocsin.judges.data", "tocsin.judges.count", "tocsin.judges.ears", "tocsin.judges.cusum",
    "tocsin.judges.patience", "tocsin.lab.archive", "tocsin.lab.sources", "tocsin.lab.knowledge",
    "tocsin.lab.baselines",
)  # fmt: skip


@pytest.mark.parametrize("module", BLIND)
def test_importing_it_loads_no_truth(module: str) -> None:
    script = f"import sys, {module}; print(sorted(m for m in sys.modules if m.startswith('tocsin.lab.')))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not [name for name in TRUTH if f"'tocsin.lab.{name}'" in loaded], loaded
