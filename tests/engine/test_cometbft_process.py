"""The process of CometBFT under its supervisor: how soon it is started again, and where its words go."""

import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.comet import installed, wait_for
from tocsin.engine.cometbft import process
from tocsin.engine.cometbft.process import Process

MAX_LOG = 64 * 1024 * 1024


class Impatient(threading.Event):
    """Notes how long it should wait, and does not."""

    def __init__(self, pauses: list[float]) -> None:
        super().__init__()
        self._pauses = pauses

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self._pauses.append(timeout)
        return self.is_set()


class Watched(Process):
    """One whose pauses are noted and left out."""

    def __init__(self, program: Path, home: Path) -> None:
        self.pauses: list[float] = []
        super().__init__(program, home, lambda: None)

    def _supervise(self) -> None:
        self._stopping = Impatient(self.pauses)
        super()._supervise()


@pytest.fixture
def ends_at_once(tmp_path: Path) -> Iterator[Watched]:
    """The real CometBFT, in a home without a genesis."""
    one = Watched(installed(), tmp_path)
    yield one
    one.stop()


def test_who_ends_again_and_again_is_started_after_longer_and_longer_pauses(
    ends_at_once: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for(lambda: len(ends_at_once.pauses) >= 9)
    assert ends_at_once.pauses[:9] == [0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert "genesis" in ends_at_once.ended
    # One that was well for some time begins with the shortest again.
    monkeypatch.setattr(process, "_WELL_S", 0)
    before = len(ends_at_once.pauses)
    wait_for(lambda: len(ends_at_once.pauses) >= before + 2)
    assert ends_at_once.pauses[-1] == 0.2


def test_the_last_words_say_something(tmp_path: Path) -> None:
    """CometBFT ends some of them with an empty line."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "priv_validator_key.json").write_text("{")
    one = Watched(installed(), tmp_path)
    wait_for(lambda: bool(one.ended))
    one.stop()
    assert one.ended.startswith("CometBFT ended with status 1: Error reading PrivValidator key from ")


@pytest.fixture
def says(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Runs a program that says so many lines, and then nothing more."""
    running: list[Process] = []

    def run(script: str) -> Process:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\nexec sleep 100\n")
        program.chmod(0o755)
        running.append(Process(program, tmp_path, lambda: None))
        return running[-1]

    yield run
    for one in running:
        one.stop()


def test_the_log_turns_over_while_the_process_runs(tmp_path: Path, says: Callable[[str], Process]) -> None:
    """At 64 MiB, with one file of before; a process may run for months."""
    log, old = tmp_path / "cometbft.log", tmp_path / "cometbft.log.1"
    old.write_text("of long ago")
    with log.open("wb") as file:
        file.truncate(MAX_LOG - 5)
    says("echo first; echo second; echo third")
    wait_for(lambda: old.stat().st_size == MAX_LOG + 1)
    wait_for(lambda: log.exists() and log.read_bytes() == b"second\nthird\n")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cometbft.log", "cometbft.log.1", "program"]


def test_no_words_are_lost_and_a_log_that_cannot_be_written_holds_up_nobody(
    tmp_path: Path, says: Callable[[str], Process]
) -> None:
    line = "x" * 300
    one = says(f"for i in $(seq 2000); do echo {shlex.quote(line)} $i; done; echo last")
    log = tmp_path / "cometbft.log"
    wait_for(lambda: log.exists() and log.read_bytes().endswith(b"last\n"))
    assert log.read_text().splitlines() == [*(f"{line} {number + 1}" for number in range(2000)), "last"]
    one.stop()
    log.unlink()
    log.mkdir()
    again = says(f"for i in $(seq 2000); do echo {shlex.quote(line)} $i; done; touch {shlex.quote(str(tmp_path))}/done")
    wait_for((tmp_path / "done").exists)
    assert again.pid is not None
