"""The kernel and the log arithmetic hold nothing that could differ between two machines."""

from pathlib import Path

import pytest

from tests.house.purity import faults
from tests.paths import ROOT

SOURCE = ROOT / "src" / "tocsin"
PURE = sorted([*(SOURCE / "kernel").rglob("*.py"), *(SOURCE / "tlog").rglob("*.py")])


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_is_pure(path: Path) -> None:
    ours = faults(path.read_text(encoding="utf-8"))
    if path.parent.name == "tlog":
        ours = [fault for fault in ours if "(relative)" not in fault]
    assert ours == []


def test_there_is_a_kernel() -> None:
    assert len(PURE) > 20


@pytest.mark.parametrize(
    "bad",
    [
        "import time",
        "import random",
        "import os.path",
        "from datetime import datetime",
        "import logging",
        "import nacl.signing",
        "from tocsin import store",
        "from tocsin.node import keys",
        "from . import words",
        "share = 0.5",
        "share = 1e3",
        "share = votes / size",
        "share /= 2",
        "share = float(votes)",
        "print(share)",
        "data = open('a').read()",
        "bucket = hash(name) % 8",
        "def f():\n    global counter\n    counter = 1",
        "async def f(): ...",
        "for one in {1, 2}: ...",
        "for one in set(names): ...",
        "found = [one for one in frozenset(names)]",
        "found = list({one for one in names})",
        "found = tuple(set(a) & set(b))",
        "names = set(a)\nfor one in names: ...",
        "def f(names: set[str]):\n    return [one for one in names]",
        "def f(names: frozenset[str]):\n    return ','.join(names)",
        "def f(a):\n    left = set(a)\n    right = left - {1}\n    return [*right]",
        "first = next(iter(set(names)))",
        "rows = dict.fromkeys(set(names))",
        "names = set(a)\nfirst = names.pop()",
        "rows = {one: 1 for one in set(names)}",
    ],
)
def test_a_fault_is_found(bad: str) -> None:
    assert len(faults(bad)) == 1


@pytest.mark.parametrize(
    "good",
    [
        "import hashlib",
        "from collections.abc import Iterator",
        "from tocsin.kernel import words\nfrom tocsin.tlog import merkle",
        "half = size // 2\nhalf //= 2",
        "for one in sorted(set(names)): ...",
        "found = sorted(one.hex() for one in set(a) & set(b))",
        "known = set(names)\nfound = [one for one in order if one in known]",
        "clash = len(set(names)) != len(names)",
        "ok = any(one.bad for one in set(names))",
        "for one in {'a': 1}: ...",
        "rows.pop()",
        "kinds = frozenset({'a', 'b'})",
    ],
)
def test_what_is_pure_passes(good: str) -> None:
    assert faults(good) == []
