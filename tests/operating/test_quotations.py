"""What pages say that the program says, it says."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.operating.machines import PAGES
from tests.paths import ROOT

QUOTING = ["halt.md", "relay.md", "witness.md"]


def sentences() -> Iterator[str]:
    """Every text in the program that it may say; what is filled in stands as `0`."""
    for path in sorted((ROOT / "src" / "tocsin").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if id(node) in docstrings:
                continue
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(one.value) if isinstance(one, ast.Constant) else "0" for one in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quotations(page: str) -> list[str]:
    """The left columns of the tables of what is said and what to do."""
    tables = re.findall(r"^\| it says.*\n\|---.*\n((?:\|.*\n)+)", (PAGES / page).read_text(encoding="utf-8"), re.M)
    return [row.split("|")[1].strip() for table in tables for row in table.splitlines()]


@pytest.fixture(scope="module")
def said() -> list[str]:
    return list(sentences())


@pytest.mark.parametrize("page", QUOTING)
def test_the_program_says_what_a_page_quotes(page: str, said: list[str]) -> None:
    quoted = [one for row in quotations(page) for one in row.split(", or ")]
    assert quoted
    unsaid = []
    for one in quoted:
        # What stands for something else each time: `...`, and numbers.
        parts = [re.escape(part.strip()) for part in re.split(r"\.\.\.|\d+", one)]
        if not any(re.search(".*".join(parts), text, re.DOTALL) for text in said):
            unsaid.append(one)
    assert not unsaid, "\n".join(unsaid)
