"""Write `spec/schemas.md`: every wire format, field by field, from the structs of the kernel.

The annotations are read from the source, not from the resolved types, because `Key` and `Digest` are the same
type to Python and different words to a reader.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from written import ROOT, finish

from tocsin.client import dossier, policy
from tocsin.kernel import acts, body, charter, envelope, genesis, leaves, rows, words

TARGET = ROOT / "spec" / "schemas.md"
SOURCES = (words, charter, acts, envelope, genesis, leaves, rows, body, policy, dossier)
_trees = {module: ast.parse(inspect.getsource(module)) for module in SOURCES}
_constants = {name: value for module in SOURCES for name, value in vars(module).items() if isinstance(value, int)}


def aliases(module: ModuleType) -> Iterator[tuple[str, ast.expr, str]]:
    """(name, definition, docstring) of each type alias at the top of a module."""
    body = _trees[module].body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        name = node.targets[0].id
        if not name[0].isupper() or name.isupper() or not isinstance(node.value, ast.Subscript | ast.BinOp | ast.Name):
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = " ".join(str(after.value.value).split())
        yield name, node.value, text


def structs(module: ModuleType) -> list[type[msgspec.Struct]]:
    """The wire structs that a module defines, in source order, without the bases that only set options."""
    found = [
        vars(module)[node.name]
        for node in _trees[module].body
        if isinstance(node, ast.ClassDef) and inspect.isclass(vars(module)[node.name])
    ]
    return [
        one
        for one in found
        if issubclass(one, msgspec.Struct)
        and (one.__struct_fields__ or tag_of(one))
        and (tag_of(one) or ("", ""))[1] != one.__name__
    ]  # an abstract base has msgspec's default tag


def tag_of(struct: type[msgspec.Struct]) -> tuple[str, str] | None:
    """(key, value) that says which of a family a struct is, or None."""
    config = struct.__struct_config__
    return None if config.tag is None else (str(config.tag_field), str(config.tag))


def annotations(struct: type[msgspec.Struct]) -> dict[str, ast.expr]:
    """Field -> annotation as written, bases first."""
    found: dict[str, ast.expr] = {}
    for base in reversed(struct.__mro__):
        module = sys.modules.get(base.__module__)
        if module not in _trees:
            continue
        for node in _trees[module].body:
            if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                for line in node.body:
                    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                        found[line.target.id] = line.annotation
    return found


def value_of(node: ast.expr) -> Any:
    """A literal, a named constant, or arithmetic of them."""
    return eval(compile(ast.Expression(node), "annotation", "eval"), {"__builtins__": {}}, dict(_constants))


def bounds(meta: ast.Call) -> str:
    """The limits of a `Meta(...)` in words."""
    given = {word.arg: word.value for word in meta.keywords}
    said = []
    if "lt" in given:
        given["le"] = ast.parse(str(value_of(given.pop("lt")) - 1), mode="eval").body
    if "pattern" in given:
        said.append(f"matches `{str(value_of(given['pattern'])).replace('|', chr(92) + '|')}`")
    for low, high, unit in (("ge", "le", ""), ("min_length", "max_length", " long")):
        if low in given and high in given:
            least, most = value_of(given[low]), value_of(given[high])
            said.append(f"{least}{unit}" if least == most else f"{least:,} to {most:,}{unit}")
        elif high in given:
            said.append(f"at most {value_of(given[high]):,}{unit}")
        elif low in given:
            said.append(f"at least {value_of(given[low]):,}{unit}")
    return ", ".join(said)


PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "Raw": "any JSON", "None": "null"}


def words_of(node: ast.expr) -> str:
    """An annotation as a reader of JSON would say it."""
    if isinstance(node, ast.Name):
        return PLAIN.get(node.id, node.id.lstrip("_"))
    if isinstance(node, ast.Constant):
        return "null" if node.value is None else str(node.value)
    if isinstance(node, ast.BinOp):
        return f"{words_of(node.left)} or {words_of(node.right)}"
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        kind = node.value.id
        if kind == "Literal":
            return " or ".join(f'`"{value_of(one)}"`' for one in inside)
        if kind == "Annotated" and isinstance(inside[1], ast.Call):
            return f"{words_of(inside[0])} ({bounds(inside[1])})"
        if kind == "list":
            return f"list of {words_of(inside[0])}"
        if kind == "tuple":
            return "[" + ", ".join(words_of(one) for one in inside) + "]"
        if kind == "dict":
            return f"object from {words_of(inside[0])} to {words_of(inside[1])}"
    raise ValueError(f"do not know how to say {ast.unparse(node)}; teach tools/make_spec_schemas.py")


def _title(struct: type[msgspec.Struct]) -> str:
    tag = tag_of(struct)
    return struct.__name__.lstrip("_") if tag is None else f"{struct.__name__.lstrip('_')}: `{tag[1]}`"


def _document(struct: type[msgspec.Struct], shown: dict[Any, type[msgspec.Struct]]) -> Iterator[str]:
    yield f"### {_title(struct)}"
    yield ""
    if struct.__doc__ and "__doc__" in vars(struct):
        yield " ".join(inspect.cleandoc(struct.__doc__).split())
        yield ""
    tag = tag_of(struct)
    written = annotations(struct)
    keys = [
        (key, words_of(written[name]))
        for name, key in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    ]
    same = shown.setdefault((struct.__base__, tuple(keys)), struct)
    if same is not struct and tag is not None and struct.__struct_fields__:
        yield f'The keys of {same.__name__}, with `{tag[0]}` as `"{tag[1]}"`.'
        yield ""
        return
    yield "| key | value |"
    yield "|---|---|"
    if tag is not None:
        yield f'| `{tag[0]}` | `"{tag[1]}"` |'
    for key, value in keys:
        yield f"| `{key}` | {value} |"
    yield ""


def _unions(module: ModuleType, names: tuple[str, ...]) -> Iterator[str]:
    found = {name: node for name, node, _ in aliases(module)}
    for name in names:
        yield f"**{name}** is one of: {words_of(found[name]).replace(' or ', ', ')}."
        yield ""


def _words() -> Iterator[str]:
    yield "| word | JSON | meaning |"
    yield "|---|---|---|"
    for module in (words, charter, acts, leaves, body, policy, dossier):
        for name, node, text in aliases(module):
            if name not in ("Act", "Terms", "MotionTerms", "AnyLeaf"):
                yield f"| {name} | {words_of(node)} | {text} |"
    yield ""


def _is_terms(struct: type[msgspec.Struct]) -> bool:
    tag = tag_of(struct)
    return tag is not None and tag[0] == "terms"


def document() -> str:
    """The whole file."""
    in_acts = structs(acts)
    envelope_parts = sorted(structs(envelope), key=lambda one: one.__name__ != "_Wrapper")
    signed = [one for one in in_acts if (tag_of(one) or ("",))[0] == "act"]
    terms = [one for one in in_acts if _is_terms(one)]
    rest = [one for one in in_acts if one not in signed and one not in terms]
    chapters: list[tuple[str, str, list[type[msgspec.Struct]], Iterator[str]]] = [
        ("Words", "Every scalar of the protocol ([2](02-encoding.md)).", [], _words()),
        ("Envelope", "The wrapper, and the header that is signed ([3.0](03-envelope.md#30-form)).", envelope_parts,
         iter(())),
        ("Genesis", "The founding files ([1.2](01-words.md#12-genesis)).", structs(genesis), iter(())),
        ("Charter", "The constitution ([6.0](06-rules.md#60-the-charter)).", structs(charter), iter(())),
        ("Acts", "What a member signs ([5](05-acts.md)).", signed, _unions(acts, ("Act",))),
        ("Terms", "Closed schemas of motions, orders, findings, shares, and of what relays bring.", terms,
         _unions(acts, ("Terms", "MotionTerms"))),
        ("Parts of acts", "", rest, iter(())),
        ("Leaves", "What the log says ([10.1](10-log.md#101-leaves)).", structs(leaves), _unions(leaves, ("AnyLeaf",))),
        ("Bodies", "What stays off the ledger, and how it is shown ([12.1](12-bodies.md#121-commitments)).",
         structs(body), iter(())),
        ("Files of a verifier", "The policy, and the dossier that is held against it ([10.4](10-log.md#104-dossier)).",
         structs(policy) + structs(dossier), iter(())),
        ("Rows", "The state, as `writes` and `state` of the block leaf commit to it "
         "([10.2](10-log.md#102-order-and-the-block-leaf)).", structs(rows), iter(())),
    ]  # fmt: skip
    lines = [
        "# Schemas",
        "",
        "Generated by `tools/make_spec_schemas.py` from the structs in `src/tocsin/kernel/`; do not edit.",
        "",
        "Keys stand in this order, all of them always, and no others ([2.1](02-encoding.md#21-canonical-json)). The",
        "key that names a struct (`act`, `terms`, `leaf`) comes first.",
        "",
    ]
    shown: dict[Any, type[msgspec.Struct]] = {}
    for title, about, found, first in chapters:
        lines += [f"## {title}", ""] + ([about, ""] if about else [])
        lines += first
        for struct in found:
            lines += _document(struct, shown)
    return "\n".join(lines).rstrip() + "\n"


def files() -> dict[Path, str]:
    """What this tool writes."""
    return {TARGET: document()}


if __name__ == "__main__":
    sys.exit(finish(__doc__.splitlines()[0], files()))
