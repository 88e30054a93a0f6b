"""The kernel with one rule changed, under the quick tests: `python -m tests.kernel.mutated NAME...`.

The names are those in `mutants.toml`, and `unchanged`. Prints a line of JSON for each: the name, the code of pytest (1 if
a test noticed, 0 if none did), and what it said.
"""

import json
import os
import sys
import tomllib
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from tempfile import TemporaryFile
from types import CodeType, ModuleType
from typing import NamedTuple

import hypothesis.strategies  # noqa: F401 - loaded once for all children, as is what follows
import msgspec  # noqa: F401
import nacl.signing  # noqa: F401
import pytest

from tests.paths import ROOT

KERNEL = ROOT / "src" / "tocsin" / "kernel"
UNCHANGED = "unchanged"
QUICK = (
    "tests/transcripts/test_transcripts.py",
    "tests/kernel/test_rules.py",
    "tests/kernel/test_peers.py",
    "tests/transcripts/test_refusals.py",
    "tests/kernel/test_arrivals.py",
    "tests/kernel/test_members.py",
    "tests/kernel/test_charter_check.py",
    "tests/spec/test_vectors.py",
    "tests/kernel/test_laws.py",
)
"""Tests of the rules, those first that notice most in the least time."""


class Mutant(NamedTuple):
    """One rule changed by a word or two. `clause`: the law it breaks; `test`: a quick test that notices."""

    name: str
    clause: str
    file: str
    test: str
    old: str
    new: str

    @property
    def source(self) -> str:
        """The changed module. Raises ValueError if the text to change is not there, or there twice."""
        text = (KERNEL / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(
                f"Mutant `{self.name}`: its old text stands {text.count(self.old)} times in kernel/{self.file} and not "
                "once. The code has changed: write the mutant anew in tests/kernel/mutants.toml."
            )
        return text.replace(self.old, self.new)


def mutants() -> list[Mutant]:
    """All of them, as written."""
    data = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))
    return [Mutant(**one) for one in data["mutant"]]


class _Loader(SourceFileLoader):
    """Loads another source than that of the file."""

    def __init__(self, module: str, path: str, source: str) -> None:
        super().__init__(module, path)
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self.source, self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.module = f"tocsin.kernel.{mutant.file.removesuffix('.py')}"
        self.path = str(KERNEL / mutant.file)
        self.loader = _Loader(self.module, self.path, mutant.source)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_file_location(fullname, self.path, loader=self.loader) if fullname == self.module else None


def run(name: str) -> int:
    """Run the quick tests on this kernel until one fails, of an unchanged one those that notice a mutant; pytest's
    code."""
    if name == UNCHANGED:
        return _pytest(*sorted({one.test for one in mutants()}))
    mutant = next(one for one in mutants() if one.name == name)
    sys.meta_path.insert(0, _Finder(mutant))
    assert not any(module.startswith("tocsin.kernel") for module in sys.modules)
    # One by one: to collect them all takes longer than most mutants live.
    return next(filter(None, map(_pytest, (mutant.test, *QUICK))), 0)


def _pytest(*tests: str) -> int:
    # A process of its own is no mutant.
    return int(
        pytest.main([
            "-x", "-q", "--no-header", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-k", "not another_process",
            *tests,
        ])
    )  # fmt: skip


def main(names: Sequence[str]) -> None:
    """Each in a child of this process, which has loaded once what is not ours."""
    for name in names:
        with TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                code = 3
                try:
                    code = run(name)
                except BaseException:
                    traceback.print_exc()
                sys.stdout.flush()
                os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            print(json.dumps([name, code, said.read().decode(errors="replace")]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
