"""The wires between validators: every connection goes through toxiproxy, which delays, throttles and cuts it.

Of two sites the first in order dials the second, through a proxy of the pair's own, so that any pair can be treated
by itself and a stream even in one direction only.
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
from typing import Any

from tests.engine.comet import free_port
from tests.foreign import toolchain
from tests.foreign.toolchain import CACHE, Missing, environment

TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"

Pair = tuple[int, int]
"""Two sites, the one that dials first."""


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
            raise Missing(f"{TOXIPROXY} cannot be built: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        os.replace(Path(scratch, "server"), target)
    return target


class Links:
    """Proxies between all pairs of sites. `ports`: where each site listens."""

    def __init__(self, program: Path, ports: Iterable[int], log: Path) -> None:
        self._ports = list(ports)
        self._api = free_port()
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [str(program), "-host", "127.0.0.1", "-port", str(self._api)], stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip
        self._toxics: dict[Pair, list[str]] = {}
        self._number = 0
        self.at: dict[Pair, int] = {}
        """Where the first of a pair reaches the second."""
        self._wait()
        for one in range(len(self._ports)):
            for other in range(one + 1, len(self._ports)):
                self._connect((one, other))

    def close(self) -> None:
        """End the proxies."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def cut(self, pairs: Iterable[Pair], streams: Iterable[str] = ("upstream", "downstream")) -> None:
        """Let nothing through, as a cable that is out: connections stay, and what is sent is lost."""
        streams = tuple(streams)
        for pair in pairs:
            for stream in streams:
                self._poison(pair, "timeout", stream, {"timeout": 0})

    def reset(self, pairs: Iterable[Pair]) -> None:
        """Break the connections off now; they may come anew."""
        for pair in pairs:
            self._poison(pair, "reset_peer", "downstream", {"timeout": 0})
        time.sleep(0.2)
        self.heal(pairs)

    def slow(self, pairs: Iterable[Pair], delay_ms: int, jitter_ms: int, rate_kb: int | None) -> None:
        """Delay with jitter in both directions, and so many KB/s at most."""
        for pair in pairs:
            for stream in ("upstream", "downstream"):
                self._poison(pair, "latency", stream, {"latency": delay_ms, "jitter": jitter_ms})
                if rate_kb is not None:
                    self._poison(pair, "bandwidth", stream, {"rate": rate_kb})

    def heal(self, pairs: Iterable[Pair] | None = None) -> None:
        """Good wires again, of all pairs if none are named."""
        for pair in list(self._toxics if pairs is None else pairs):
            for toxic in self._toxics.pop(pair, []):
                self._call("DELETE", f"/proxies/{_name(pair)}/toxics/{toxic}")

    def _poison(self, pair: Pair, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        self._number += 1
        name = f"{kind}-{self._number}"
        self._toxics.setdefault(pair, []).append(name)
        self._call(
            "POST", f"/proxies/{_name(pair)}/toxics",
            {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes},
        )  # fmt: skip

    def _connect(self, pair: Pair) -> None:
        self.at[pair] = free_port()
        self._call(
            "POST", "/proxies",
            {"name": _name(pair), "listen": f"127.0.0.1:{self.at[pair]}",
             "upstream": f"127.0.0.1:{self._ports[pair[1]]}", "enabled": True},
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


def _name(pair: Pair) -> str:
    return f"{pair[0]}-{pair[1]}"
