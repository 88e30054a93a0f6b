"""What is generated from the code is what the code says now."""

import subprocess
import sys

import pytest

from tests.paths import ROOT

TOOLS = sorted(path.name for path in (ROOT / "tools").glob("make_*.py"))


@pytest.mark.parametrize("tool", TOOLS)
def test_files_are_up_to_date(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_tools() -> None:
    assert {"make_diagrams.py", "make_reasons.py", "make_spec_schemas.py", "make_vectors.py"} <= set(TOOLS)
