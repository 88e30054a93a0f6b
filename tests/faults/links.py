"""Wires: every connection goes through toxiproxy, which delays, throttles and cuts it.

Who calls another does it through a proxy of this pair's own, so that any wire can be treated by itself, and a stream
even in one direction only.
"""

import contextlib
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from tests.engine.comet import free_port
from tests.foreign import toolchain
from tests.foreign.toolchain import CACHE, Missing, environment

TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"

Wire = TypeVar("Wire", bound=tuple[int | str, ...])
"""What a wire is told by, such as who calls and who is called."""


def install() -> Path:
    """The toxiproxy server, built once a machine; raises Missing where it cannot be had."""
    target = CACHE / TOXIPROXY.rpartition("@")[2] / "toxiproxy"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    go = toolchain.find_go()
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        done = subprocess.run(
            [go, "install", TOXIPROXY], env={**environment(), "GOBIN": scratch}, capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            raise Missing(
                f"{TOXIPROXY} cannot be built: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
            )
        os.replace(Path(scratch, "server"), target)
    return target


class Links(Generic[Wire]):
    """A proxy for each wire. `wires`: where the one who is called listens."""

    def __init__(self, program: Path, wires: Mapping[Wire, int], log: Path) -> None:
        self._api = free_port()
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [str(program), "-host", "127.0.0.1", "-port", str(self._api)], stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip
        self._toxics: dict[Wire, list[str]] = {}
        self._number = 0
        self.at: dict[Wire, int] = {}
        """The port to call, in place of the one that is listened at."""
        self._wait()
        for wire, port in wires.items():
            self._connect(wire, port)

    def close(self) -> None:
        """End the proxies."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def cut(self, wires: Iterable[Wire], streams: Iterable[str] = ("upstream", "downstream")) -> None:
        """Let nothing through, as a cable that is out: connections stay, and what is sent is lost."""
        streams = tuple(streams)
        for wire in wires:
            for stream in streams:
                self._poison(wire, "timeout", stream, {"timeout": 0})

    def reset(self, wires: Iterable[Wire]) -> None:
        """Break the connections off now; they may come anew."""
        for wire in wires:
            self._poison(wire, "reset_peer", "downstream", {"timeout": 0})
        time.sleep(0.2)
        self.heal(wires)

    def slow(self, wires: Iterable[Wire], delay_ms: int, jitter_ms: int, rate_kb: int | None) -> None:
        """Delay with jitter in both directions, and so many KB/s at most."""
        for wire in wires:
            for stream in ("upstream", "downstream"):
                self._poison(wire, "latency", stream, {"latency": delay_ms, "jitter": jitter_ms})
                if rate_kb is not None:
                    self._poison(wire, "bandwidth", stream, {"rate": rate_kb})

    def heal(self, wires: Iterable[Wire] | None = None) -> None:
        """Good wires again, all of them if none are named."""
        for wire in list(self._toxics if wires is None else wires):
            for toxic in self._toxics.pop(wire, []):
                self._call("DELETE", f"/proxies/{_name(wire)}/toxics/{toxic}")

    def _poison(self, wire: Wire, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        self._number += 1
        name = f"{kind}-{self._number}"
        self._toxics.setdefault(wire, []).append(name)
        self._call(
            "POST", f"/proxies/{_name(wire)}/toxics",
            {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes},
        )  # fmt: skip

    def _connect(self, wire: Wire, port: int) -> None:
        self.at[wire] = free_port()
        self._call(
            "POST", "/proxies",
            {"name": _name(wire), "listen": f"127.0.0.1:{self.at[wire]}", "upstream": f"127.0.0.1:{port}",
             "enabled": True},
        )  # fmt: skip

    def _call(self, method: str, path: str, body: Any = None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._api, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            said = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"toxiproxy refuses {method} {path}: {said.decode(errors='replace')}")

    def _wait(self) -> None:
        for _ in range(100):
            with contextlib.suppress(OSError):
                self._call("GET", "/version")
                return
            time.sleep(0.1)
        raise RuntimeError("toxiproxy does not start")


def _name(wire: tuple[int | str, ...]) -> str:
    return "-".join(map(str, wire))
