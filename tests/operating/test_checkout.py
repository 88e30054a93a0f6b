"""The lines of `start.md` and `upgrade.md` that set a checkout up and bring it up to date, as they stand, in a real one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tracked import tracked
from tests.operating.machines import SET_UP, parts
from tests.paths import ROOT

pytestmark = pytest.mark.slow
GIT = ("git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
RULES = "src/tocsin/kernel/upgrade.py"


def run(folder: Path, *words: str) -> str:
    """Run something as a user would, who may have uv installed or not; what it prints."""
    path = os.pathsep.join([str(ROOT / ".uv" / "bin"), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "VIRTUAL_ENV", "UV_"))}
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False,
        env=clean | {"PATH": path, "PYTHON": sys._base_executable},
    )  # fmt: skip
    if "error sending request" in done.stderr or "Failed to fetch" in done.stderr:
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines(page: str, block: int) -> list[str]:
    """Those of a block of a page that are about the checkout."""
    found = [text for mark, text in parts(page) if text]
    return [line for line in found[block].splitlines() if line in SET_UP]


def commit(folder: Path) -> None:
    run(folder, *GIT, "add", "--all", "--force")
    run(folder, *GIT, "commit", "--quiet", "--message", "A release")


def test_a_checkout_is_set_up_and_upgraded(tmp_path: Path) -> None:
    published, here = tmp_path / "published", tmp_path / "tocsin"
    assert tracked(".py")
    for name in run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (published / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, published / name)
    run(published, *GIT, "init", "--quiet")
    commit(published)
    run(tmp_path, "git", "clone", "--quiet", str(published), str(here))
    for line in lines("start.md", 0):
        run(here, "bash", "-c", line)
    run(here, ".venv/bin/tocsin", "node", "--help")
    # The next release has other rules, and needs what is not installed yet.
    rules = published / RULES
    rules.write_text(
        rules.read_text().replace("PROTOCOLS: tuple[int, ...] = (1,)", "PROTOCOLS: tuple[int, ...] = (1, 2)")
    )
    project = published / "pyproject.toml"
    project.write_text(f"{project.read_text()}\n# The next release.\n")
    commit(published)
    for left in here.glob(".venv/lib/*/site-packages/tomlkit*"):
        shutil.rmtree(left)
    told = ".venv/bin/python", "-c", "from tocsin.kernel import upgrade; print(upgrade.PROTOCOLS)"
    assert run(here, *told) == "(1,)\n"
    for line in lines("upgrade.md", 0):
        run(here, "bash", "-c", line)
    assert run(here, *told) == "(1, 2)\n"
    run(here, ".venv/bin/tocsin", "node", "--help")
    assert lines("upgrade.md", 0) == list(SET_UP)
    assert lines("start.md", 0) == ["make .venv/ready"]
