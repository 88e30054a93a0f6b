"""What may not stand in the kernel, found in its syntax trees (see `test_kernel_is_pure`).

A rule engine that must give the same bytes on every machine has no clock, randomness, float or I/O, and never lets the
order of a set, which differs from process to process, reach a result.
"""

import ast
from collections.abc import Iterator

IMPORTS = frozenset(
    {
        "abc", "base64", "binascii", "bisect", "collections", "copy", "dataclasses", "enum", "functools", "hashlib",
        "heapq", "itertools", "msgspec", "operator", "re", "string", "types", "typing", "unicodedata",
    }
)  # fmt: skip
"""Modules without clock, randomness, state or I/O. `tocsin.kernel` and `tocsin.tlog` come on top."""

CALLS = {
    "float": "no floats",
    "complex": "no floats",
    "round": "no floats",
    "open": "no I/O",
    "print": "no I/O",
    "input": "no I/O",
    "exec": "no hidden code",
    "eval": "no hidden code",
    "__import__": "no hidden code",
    "breakpoint": "no I/O",
    "hash": "differs from process to process",
    "id": "differs from process to process",
}
ORDER_DOES_NOT_MATTER = frozenset({"sorted", "set", "frozenset", "any", "all", "sum", "min", "max", "len"})
ORDER_MATTERS = frozenset({"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "next", "bytes"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
SET_TYPES = frozenset({"set", "frozenset", "Set", "AbstractSet", "MutableSet"})
SET_OPERATORS = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.Sub)


def faults(source: str) -> list[str]:
    """Each fault as `line: what`."""
    tree = ast.parse(source)
    found = [*_imports(tree), *_plain(tree), *_sets(tree)]
    return [f"{line}: {what}" for line, what in sorted(found)]


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.level == 0 else ["(relative)"]
            if names == ["tocsin"]:
                names = [f"tocsin.{alias.name}" for alias in node.names]
        for name in names:
            ours = name.startswith(("tocsin.kernel", "tocsin.tlog"))
            if not ours and name.partition(".")[0] not in IMPORTS:
                yield node.lineno, f"import of {name}"


def _plain(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield node.lineno, f"float literal {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield node.lineno, "`/` division; use // or cross-multiply"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield node.lineno, f"{node.func.id}(): {CALLS[node.func.id]}"
        elif isinstance(node, ast.Global):
            yield node.lineno, "global: the kernel has no state of its own"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield node.lineno, "async: the kernel is synchronous"


def _sets(tree: ast.Module) -> Iterator[tuple[int, str]]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    for scope in [tree, *functions]:
        yield from _in_scope(scope)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope without those of functions inside it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from _own(child)


def _in_scope(scope: ast.AST) -> Iterator[tuple[int, str]]:
    nodes = list(_own(scope))
    named = _set_names(scope, nodes)
    harmless = {
        id(argument)
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDER_DOES_NOT_MATTER
        for argument in node.args
    }
    for node in nodes:
        iterated: list[ast.expr] = []
        if isinstance(node, ast.For):
            iterated = [node.iter]
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and id(node) not in harmless:
            iterated = [part.iter for part in node.generators]
        elif isinstance(node, ast.Starred) and id(node) not in harmless:
            iterated = [node.value]
        elif isinstance(node, ast.Call):
            iterated = _iterated_by(node)
            pops = isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args
            if pops and isinstance(node.func, ast.Attribute) and _is_set(node.func.value, named):
                yield node.lineno, "pop() of a set takes whichever comes first"
        for one in iterated:
            if _is_set(one, named):
                yield one.lineno, "iteration over a set; sort it first"


def _iterated_by(call: ast.Call) -> list[ast.expr]:
    """Arguments whose order a call takes over."""
    if isinstance(call.func, ast.Name) and call.func.id in ORDER_MATTERS:
        return call.args
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("join", "extend", "fromkeys"):
        return call.args[:1]
    return []


def _set_names(scope: ast.AST, nodes: list[ast.AST]) -> frozenset[str]:
    """Names of this scope that hold sets, by annotation or assignment."""
    named: set[str] = set()
    if isinstance(scope, ast.FunctionDef):
        given = scope.args
        for argument in [*given.posonlyargs, *given.args, *given.kwonlyargs]:
            if argument.annotation is not None and _says_set(argument.annotation):
                named.add(argument.arg)
    for _ in range(3):
        for node in nodes:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and _says_set(node.annotation):
                named.add(node.target.id)
            elif isinstance(node, ast.Assign) and _is_set(node.value, frozenset(named)):
                named |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(named)


def _says_set(annotation: ast.expr) -> bool:
    node = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(node, ast.Name) and node.id in SET_TYPES


def _is_set(node: ast.expr, named: frozenset[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Name):
        return node.id in named
    if isinstance(node, ast.BinOp) and isinstance(node.op, SET_OPERATORS):
        return _is_set(node.left, named) or _is_set(node.right, named)
    if isinstance(node, ast.IfExp):
        return _is_set(node.body, named) or _is_set(node.orelse, named)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name):
            return node.func.id in ("set", "frozenset")
        if isinstance(node.func, ast.Attribute) and node.func.attr in SET_METHODS:
            return _is_set(node.func.value, named)
    return False
