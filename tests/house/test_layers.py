"""Left may import right, never back: the contracts of import-linter hold, and they cover every room."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.paths import ROOT

LINTER = Path(sys.executable).parent / "lint-imports"


def test_contracts_hold() -> None:
    done = subprocess.run(
        [str(LINTER), "--no-cache", "--config", "pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_its_place_in_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {room.strip() for layer in layers for room in layer.split("|")}
    rooms = {f"tocsin.{path.parent.name}" for path in (ROOT / "src" / "tocsin").glob("*/__init__.py")}
    assert rooms <= placed
