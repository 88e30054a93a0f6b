"""A module is read in one sitting."""

import pytest

from tests.paths import ROOT

SOURCE = ROOT / "src" / "tocsin"
MOST_LINES = 500
EXEMPT = {"kernel/reasons.py": "a table: one row for each reason, which nobody reads from top to bottom"}


def _lengths() -> dict[str, int]:
    return {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sorted(SOURCE.rglob("*.py"))
    }


def test_no_module_is_longer_than_a_sitting() -> None:
    lengths = _lengths()
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MOST_LINES and name not in EXEMPT} == {}


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [name for name in _lengths() if name.rpartition("/")[2].removesuffix(".py") in drawers] == []


@pytest.mark.parametrize("name", sorted(EXEMPT))
def test_exempt_modules_exist(name: str) -> None:
    assert (SOURCE / name).is_file()
