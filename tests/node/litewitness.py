"""A real foreign witness, `litewitness` of filippo.io/torchwood, built once a machine; and the agent that holds its key.

Its own tool to name logs, witnessctl, cannot be had from the module proxy; what it would write into the database is
two rows.
"""

import base64
import contextlib
import json
import os
import socket
import sqlite3
import struct
import subprocess
import tempfile
import threading
import time
from hashlib import sha256
from pathlib import Path

from tests.foreign import toolchain
from tests.node.net import PATIENCE_S
from tocsin.client.signing import SeedSigner
from tocsin.tlog import Cosigner, VerifierKey
from tocsin.tlog.merkle import EMPTY_ROOT

MODULE = "filippo.io/torchwood"
VERSION = "v0.9.0"
CHECKSUM = "h1:2W156cI7K3MyxEyNTuS1C9lYEW7y1u7PoHLmvgNsiZc="
NAME = "witness.example/foreign"


def build() -> Path:
    """The program; raises toolchain.Missing where it cannot be had."""
    go = toolchain.find_go()
    target = toolchain.CACHE / f"litewitness-{VERSION}"
    toolchain.CACHE.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=toolchain.CACHE) as scratch:
            run(go, "install", f"{MODULE}/cmd/litewitness@{VERSION}", GOBIN=scratch)
            os.replace(Path(scratch, "litewitness"), target)
    return target


def transcript() -> str:
    """What litewitness's own tests say to it, and what it answers, out of its published module."""
    toolchain.CACHE.mkdir(parents=True, exist_ok=True)
    told = json.loads(run(toolchain.find_go(), "mod", "download", "-json", f"{MODULE}@{VERSION}"))
    assert told["Sum"] == CHECKSUM
    return Path(told["Dir"], "cmd/litewitness/testdata/litewitness.txt").read_text()


def run(go: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        [go, *arguments], env=toolchain.environment() | more, capture_output=True, text=True, timeout=600, check=False,
        cwd=toolchain.CACHE,
    )  # fmt: skip
    if done.returncode:
        if any(sign in done.stderr for sign in toolchain.UNREACHABLE):
            raise toolchain.Missing(f"the Go module proxy cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        raise RuntimeError(f"go {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


class Agent:
    """As much of ssh-agent as holds one key: it lists it, and signs (draft-ietf-sshm-ssh-agent)."""

    def __init__(self, path: Path, signer: SeedSigner) -> None:
        self._signer = signer
        self.blob = _text(b"ssh-ed25519") + _text(bytes.fromhex(signer.public_key))
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + base64.b64encode(sha256(self.blob).digest()).decode().rstrip("=")

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, caller.makefile("rwb") as stream:
            while head := stream.read(4):
                message = stream.read(int.from_bytes(head, "big"))
                answer = self._answer(message)
                stream.write(_text(answer))
                stream.flush()

    def _answer(self, message: bytes) -> bytes:
        if message[0] == 11:
            return b"\x0c" + struct.pack(">I", 1) + _text(self.blob) + _text(b"witness")
        if message[0] == 13:
            start = 5 + int.from_bytes(message[1:5], "big")
            data = message[start + 4 : start + 4 + int.from_bytes(message[start : start + 4], "big")]
            return b"\x0e" + _text(_text(b"ssh-ed25519") + _text(self._signer.sign(data)))
        return b"\x05"


class Litewitness:
    """It runs, with a key of its own."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._sockets = tempfile.TemporaryDirectory(prefix="agent-")
        signer = SeedSigner.generate()
        self._agent = Agent(Path(self._sockets.name) / "s", signer)
        self.vkey: VerifierKey = Cosigner(NAME, bytes.fromhex(signer.public_key)).vkey
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [program, "-name", NAME, "-db", folder / "db", "-key", self._agent.fingerprint,
             "-ssh-agent", f"{self._sockets.name}/s", "-listen", f"127.0.0.1:{port}"],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            assert self._process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def know(self, log: VerifierKey) -> None:
        """What `witnessctl add-log` and `add-key` do."""
        with contextlib.closing(sqlite3.connect(self._folder / "db", timeout=10)) as database, database:
            database.execute(
                "INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)",
                (log.name, base64.b64encode(EMPTY_ROOT).decode()),
            )
            database.execute("INSERT INTO key (origin, key) VALUES (?, ?)", (log.name, str(log)))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._agent.close()
        self._sockets.cleanup()
        self._log.close()


def _text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
