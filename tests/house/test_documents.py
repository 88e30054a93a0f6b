"""Links in the documents lead somewhere, decisions are numbered, and the README's commands are real."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from tests.house.tracked import shown, tracked
from tests.paths import ROOT

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(?:<!-- (run|parsed) -->\n)?```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
VERBS = frozenset(
    "bench calibrate charter demo engine explain export fsck keys log monitor networks node replay show testnet verify".split()  # noqa: SIM905
)
README = (ROOT / "README.md").read_text(encoding="utf-8")


NOT_MADE_YET = {"docs/adr/0002"}
"""Promised by others; take an entry out when it is there."""


def anchors(path: Path) -> set[str]:
    """The anchors that headings of a file get where it is shown."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


def broken(path: Path) -> Iterator[str]:
    """Relative links of a file that lead nowhere."""
    for target in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if shown(file) in NOT_MADE_YET:
            continue
        if not file.exists():
            yield f"{shown(path)}: {target}: no such file"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{shown(path)}: {target}: no such heading"


def test_links_lead_somewhere() -> None:
    assert [fault for path in tracked(".md") for fault in broken(path)] == []


def test_decisions_are_numbered_and_say_their_status() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    promised = {int(name[-4:]) for name in NOT_MADE_YET if "/adr/" in name}
    numbers = sorted({int(path.name[:4]) for path in decisions} | promised)
    assert numbers == list(range(1, len(numbers) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {int(path.name[:4])}\. ", text), path.name
        assert re.search(r"^(?:- )?\*?\*?Status:?", text, re.MULTILINE), path.name


def test_decisions_that_are_cited_exist() -> None:
    known = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md")}
    known |= {int(name[-4:]) for name in NOT_MADE_YET if "/adr/" in name}
    for path in tracked(".py", ".md"):
        for number in re.findall(r"\bADR (\d+)\b", path.read_text(encoding="utf-8")):
            assert int(number) in known, f"{shown(path)} cites ADR {number}"


def commands() -> list[tuple[str, str]]:
    """(mark, command) of every line in a shell block of the README; `run` or `parsed`."""
    found = []
    for mark, block in _FENCE.findall(README):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.partition(" # ")[0].strip()
            if command:
                found.append((mark, command))
    return found


def test_readme_has_commands_and_each_block_says_how_it_is_tested() -> None:
    assert "make run" in [command for _, command in commands()]
    assert [command for mark, command in commands() if not mark] == []


@pytest.mark.parametrize("command", [command for _, command in commands()])
def test_command_is_real(command: str) -> None:
    words = shlex.split(command)
    assert words
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE)
        assert all(word in targets for word in words[1:] if "=" not in word)
    elif words[0] == "tocsin":
        verbs = list(takewhile(lambda word: word in VERBS, words[1:]))
        assert verbs, f"`{command}` begins with no verb"
        text = _tocsin([*verbs, "--help"], ROOT)
        for word in words[len(verbs) + 1 :]:
            if word.startswith("--"):
                assert word in text, f"`tocsin {' '.join(verbs)} --help` does not know {word}"
    else:
        assert words[0] in ("git", "cd", "uv"), f"the README uses {words[0]}, which nobody tests"


def _tocsin(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "tocsin"), *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_marked_run_do_run(tmp_path: Path) -> None:
    for mark, command in commands():
        if mark == "run":
            words = shlex.split(command)
            assert words[0] == "tocsin"
            _tocsin(words[1:], tmp_path)
