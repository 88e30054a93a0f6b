"""Every module, public function and public class says what it is. A wire struct may let its name and fields speak."""

import ast
from collections.abc import Iterator

from tests.paths import ROOT

SOURCE = ROOT / "src" / "tocsin"


def silent(tree: ast.Module) -> Iterator[str]:
    """What has no docstring."""
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        wire = isinstance(node, ast.ClassDef) and any(isinstance(word.value, ast.Constant) for word in node.keywords)
        struct = isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["Struct"]
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not (wire or struct)
            and not ast.get_docstring(node)
        ):
            yield node.name


def test_nothing_public_is_silent() -> None:
    found = [
        f"{path.relative_to(SOURCE)}: {name}"
        for path in sorted(SOURCE.rglob("*.py"))
        for name in silent(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_silence_is_heard() -> None:
    text = "class A: ...\nclass B(Struct, frozen=True): ...\ndef f(): ...\ndef _g(): ...\n"
    assert list(silent(ast.parse(text))) == ["the module", "A", "f"]
