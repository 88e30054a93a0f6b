"""Every transcript, played again, must come out as it is written."""

import os
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.transcripts.play import play, script_of, transcripts

REWRITE = os.environ.get("TOCSIN_REWRITE") == "1"


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    kept = path.read_text(encoding="utf-8")
    played = play(script_of(kept))
    if REWRITE:
        path.write_text(played, encoding="utf-8")
        return
    diff = "\n".join(unified_diff(kept.splitlines(), played.splitlines(), "kept", "played", lineterm="", n=6))
    assert played == kept, f"{path.name} plays otherwise now (TOCSIN_REWRITE=1 writes it anew):\n{diff}"
