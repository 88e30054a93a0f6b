"""How every generator here ends: write its files, or with `--check` say which of them are out of date."""

import argparse
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def stale(files: Mapping[Path, str]) -> list[Path]:
    """The files whose content on disk is missing or differs."""
    return [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def finish(what: str, files: Mapping[Path, str]) -> int:
    """Parse `--check`, then write or compare; the exit status."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    checking = parser.parse_args().check
    old = stale(files)
    for path in old:
        if checking:
            print(f"{path.relative_to(ROOT)} is out of date; run this tool without --check and read the difference.")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if checking and old else 0
