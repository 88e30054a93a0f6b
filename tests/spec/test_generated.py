"""What is generated from the code is what the code says now."""

import re
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


def test_every_word_in_the_schemas_is_explained_there() -> None:
    text = (ROOT / "spec" / "schemas.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ", 1) for line in text.splitlines() if line.startswith("| ")]
    explained = {name.strip() for name, _ in rows if re.fullmatch(r" ?[A-Z]\w+", name)}
    explained |= set(re.findall(r"^### (\w+)", text, re.MULTILINE))
    explained |= set(re.findall(r"^\*\*(\w+)\*\* is one of", text, re.MULTILINE))
    used = {
        word
        for name, value in rows
        if name.strip().startswith("`")
        for word in re.findall(r"\b[A-Z][A-Za-z0-9]+\b", re.sub(r"`[^`]*`|\bJSON\b", "", value))
    }
    assert {"Slug", "Digest", "Subject", "PeerEntry"} <= used
    assert used - explained == set()
