"""A validator as the test sees it: two processes that can be killed, paused, wiped, and what they told."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from tests.engine.comet import PATIENCE_S, cometbft_below
from tests.faults.validator import Setup
from tests.paths import ROOT

Part = Literal["application", "cometbft", "both"]
"""Whom a signal hits."""
STOP_S = 60.0
"""A clean stop takes no longer, on a busy machine."""


class Site:
    """One site. `heard(site, line)` is called for each line it tells, from a thread of its own."""

    def __init__(self, name: str, setup: Setup, heard: Callable[["Site", dict[str, Any]], None]) -> None:
        self.name = name
        self.setup = setup
        self.folder = Path(setup.folder)
        self.signed = Path(setup.signed)
        self.up = False
        self.ready = False
        """Whether it has told that it takes part since its start."""
        self.final = -1
        """Height of the last block it told of since its start."""
        self.halted = ""
        self.trouble = ""
        """Why its CometBFT ended last."""
        self.sync = ""
        """How far a snapshot is that it takes in."""
        self.turned_down: list[str] = []
        """Why it refused snapshots since its start."""
        self.small_disk = False
        self._heard = heard
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._errors = self.folder.parent / f"{name}.err"

    def start(self, setup: Setup | None = None) -> None:
        """Start it, from what is on its disk."""
        self.setup = setup or self.setup
        self.ready = False
        self.final, self.halted, self.trouble, self.sync, self.turned_down = -1, "", "", "", []
        path = self.folder.parent / f"{self.name}.json"
        path.write_bytes(msgspec.json.encode(self.setup))
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.validator", str(path)], cwd=ROOT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
            )  # fmt: skip
        self.up = True
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def submit(self, name: str, data: bytes) -> bool:
        """Hand it an envelope; whether it could be handed over."""
        return self._ask({"name": name, "submit": b64encode(data).decode()})

    def show(self, above: int | None = None, lies: int | None = None) -> None:
        """Have it show snapshots up to a height only, and, with a seed, lies above it."""
        self._ask({"show": [above, lies]})

    def hit(self, what: signal.Signals, part: Part = "both") -> None:
        """Send a signal to its processes."""
        pids = []
        if part != "cometbft" and self._process is not None and self._process.poll() is None:
            pids.append(self._process.pid)
        if part != "application":
            pids += self.cometbft()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def kill(self) -> None:
        """Both at once, as when the power goes."""
        self.up = False
        self.hit(signal.SIGKILL)
        self._reap()
        # CometBFT may just have been started anew.
        self.hit(signal.SIGKILL, "cometbft")

    def kill_application(self) -> None:
        """The application alone; its CometBFT is left to itself."""
        self.up = False
        self.hit(signal.SIGKILL, "application")
        self._reap()

    def stop(self) -> None:
        """A clean stop, by force after a while."""
        self.up = False
        if self._process is not None and self._ask({"stop": True}):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self.kill()

    def wipe(self) -> None:
        """Lose the disk; what was signed lies elsewhere."""
        shutil.rmtree(self.folder)

    def cometbft(self) -> list[int]:
        """Its CometBFT processes: more than one while a new one waits for the old one's end."""
        return cometbft_below(self.folder)

    def said(self) -> str:
        """The last lines of its standard error, for a failure's report."""
        text = self._errors.read_text(errors="replace") if self._errors.exists() else ""
        return "\n".join(text.splitlines()[-12:])

    def rejections(self) -> int:
        """How often its CometBFT turned a proposal down because the application did."""
        log = self.folder / "cometbft" / "cometbft.log"
        return log.read_bytes().count(b"rejected") if log.exists() else 0

    def _ask(self, what: dict[str, Any]) -> bool:
        process = self._process
        if process is None or process.stdin is None:
            return False
        try:
            process.stdin.write(msgspec.json.encode(what) + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def _reap(self) -> None:
        process = self._process
        if process is None:
            return
        process.wait(PATIENCE_S)
        # What it told last is not to be taken for the words of the next one.
        assert self._reader is not None
        self._reader.join(PATIENCE_S)
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with contextlib.suppress(msgspec.DecodeError):  # a kill cuts a line short
                    self._heard(self, msgspec.json.decode(line))
