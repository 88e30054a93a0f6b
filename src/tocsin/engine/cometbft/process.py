"""The CometBFT process: started, watched, started again after longer and longer pauses, stopped.

Its output goes to a file, line by line through us. When it ends by itself the last lines say why. When we end, so
does it: with its output, and with the socket on which it calls us.
"""

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
_WELL_S = 30.0
"""A process that ran this long was well: the next pause is the first again."""
_UP_S = 5.0
"""A process that has run this long is back."""
_STOP_S = 10.0
_MAX_LOG = 64 * 1024 * 1024


class Process:
    """Runs until `stop`. `before`: called before each start, with no process running; `heard`: with each line.
    `told`: what each process finds at its standard input, at most 4 KiB."""

    def __init__(
        self, program: Path, home: Path, before: Callable[[], None], heard: Callable[[bytes], None] = lambda line: None,
        told: bytes = b"",
    ) -> None:  # fmt: skip
        self._command = [str(program), "start", "--home", str(home)]
        self._log = home / "cometbft.log"
        self._before = before
        self._heard = heard
        self._told = told
        self._last: deque[str] = deque(maxlen=200)
        self._stopping = threading.Event()
        self._running: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._asked = False
        self._began = 0.0
        self.starts = 0
        self.ended = ""
        """Why it ended last, or could not be started; empty if we ended it."""
        self._thread = threading.Thread(target=self._supervise, name="cometbft", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        running = self._running
        return None if running is None else running.pid

    @property
    def why(self) -> str:
        """The same, until another has run for some seconds."""
        return "" if self._running is not None and time.monotonic() - self._began >= _UP_S else self.ended

    @property
    def alive(self) -> bool:
        """Whether somebody watches over it."""
        return self._thread.is_alive()

    def again(self) -> None:
        """End the process; a new one starts."""
        with self._lock:
            if self._running is not None:
                self._asked = True
                self._running.terminate()

    def stop(self) -> None:
        """End the process, by force after ten seconds, and start no other."""
        self._stopping.set()
        self.again()
        self._thread.join(_STOP_S)
        with self._lock:
            if self._running is not None:
                self._running.kill()
        self._thread.join()
        left = self._running
        if left is not None:  # who watched over it died before
            left.wait()

    def _supervise(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            self._before()
            started = time.monotonic()
            self._run()
            well = time.monotonic() - started >= _WELL_S
            pause = _FIRST_PAUSE_S if well else min(2 * pause, _LONGEST_PAUSE_S)
            self._stopping.wait(pause)

    def _run(self) -> None:
        try:
            running = self._begin()
        except OSError as error:
            self.ended = f"CometBFT could not be started: {error}. Run `tocsin engine install`, then start again."
            return
        if running is None:
            return
        assert running.stdout is not None
        self._last.clear()
        with running.stdout:
            for line in running.stdout:
                self._keep(line)
                if told := line.decode(errors="replace").strip():
                    self._last.append(told)
                self._heard(line)
        status = running.wait()
        with self._lock:
            self._running = None
        if not self._stopping.is_set():
            self.ended = "" if self._asked else f"CometBFT ended with status {status}: {self._last_words()}"

    def _begin(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            with _holding(self._told) as told:
                self._running = subprocess.Popen(
                    self._command, stdin=told, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={},
                    start_new_session=True,
                )  # fmt: skip
            self._asked, self._began = False, time.monotonic()
            self.starts += 1
            return self._running

    def _keep(self, line: bytes) -> None:
        # On a full disk the log is what can be done without: who reads no more would stop CometBFT too.
        with suppress(OSError):
            with self._log.open("ab") as log:
                log.write(line)
                full = log.tell() > _MAX_LOG
            if full:
                self._log.replace(self._log.with_suffix(".log.1"))

    def _last_words(self) -> str:
        """The line that says most: what made consensus fail, rather than what ended after it."""
        lines = list(self._last)
        for sign in ("CONSENSUS FAILURE", "panic:", "ERROR", "E["):
            if told := [line for line in lines if sign in line]:
                return told[-1].partition(" stack=")[0]
        return lines[-1] if lines else "it said nothing."


@contextmanager
def _holding(data: bytes) -> Iterator[int]:
    """A pipe that holds this and ends after it, until who reads it has it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)
