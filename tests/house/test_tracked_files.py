"""Nothing in the project belongs to one machine, and nothing names the tools of whoever wrote it."""

import codecs
import re

from tests.house.tracked import shown, tracked

TEXT = (".py", ".md", ".toml", ".txt", ".json", ".html", ".css", ".js", ".sh", ".yml", ".yaml", ".go", ".mod", "")
MACHINE = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users)/|\.\./shared|localhost:\d")
ALLOWED = {"tests/house/test_tracked_files.py", "uv.lock"}
# Spelt backwards by rot13, so that this file does not name them either.
TOOLS = re.compile(
    "|".join(codecs.decode(word, "rot13") for word in
             ("pynhqr", "naguebcvp", "pungtcg", "bcranv", "pbcvybg", "trzvav", r"\oyyz\o", "ynathntr zbqry")),
    re.IGNORECASE,
)  # fmt: skip


def _lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{shown(path)}:{number}: {line.strip()[:100]}"
        for path in tracked(*TEXT)
        if shown(path) not in ALLOWED and "vectors" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_machine_paths() -> None:
    assert _lines(MACHINE) == []


def test_no_names_of_tools() -> None:
    assert _lines(TOOLS) == []


def test_patterns_find_what_they_are_for() -> None:
    assert MACHINE.search("see /tmp/x")
    assert not MACHINE.search("https://example.org/home/page")
    assert TOOLS.search(codecs.decode("jevggra ol Pynhqr", "rot13"))
