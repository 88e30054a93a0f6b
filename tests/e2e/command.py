"""The command of the installed package."""

import subprocess
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("tocsin"))


def tocsin(*arguments: object, most_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run it; no file of its may grow beyond `most_bytes`."""
    words = [COMMAND, *map(str, arguments)]
    if most_bytes is not None:
        words = ["prlimit", f"--fsize={most_bytes}", *words]
    return subprocess.run(words, capture_output=True, text=True, timeout=900)  # half a minute, where nothing else runs
