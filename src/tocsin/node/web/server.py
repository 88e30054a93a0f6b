"""The HTTP server of a node, and who may stay connected to it: uvicorn limits neither slow requests nor one caller.

A connection has a few seconds for each request's head, and a while for everything else. Where there are too many, in
all or from one address, whoever has waited longest without a request has to go: a flood of idle connections drives
out itself, and members, who ask something, are served.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""In which the head of a request must be here, from the connection or its first byte on."""
ANSWER_S = 120.0
"""In which a request must be answered, and then its answer taken: 4 MiB at 35 kB/s."""
_IDLE_S = 30
"""For which a connection may stay without another request."""
_BACK_OFF_S = (0.2, 1.0, 5.0, 15.0)


class Limits(NamedTuple):
    """How many may be connected at once, and how many of them from one address (a /64 of IPv6)."""

    connections: int
    per_address: int


class Doors:
    """Who is connected, the longest first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._inside: dict[Connection, str] = {}
        self._from: Counter[str] = Counter()

    def enter(self, one: "Connection") -> bool:
        """Let somebody in, where there is room or somebody idle gives way."""
        place = _place("" if one.client is None else one.client[0])
        if self._from[place] >= self._limits.per_address and not self._make_room(place):
            return False
        if len(self._inside) >= self._limits.connections and not self._make_room():
            return False
        self._inside[one] = place
        self._from[place] += 1
        return True

    def leave(self, one: "Connection") -> None:
        """Of everybody who is gone; nothing if they are known to be."""
        place = self._inside.pop(one, None)
        if place is not None:
            self._from[place] -= 1
            if not self._from[place]:
                del self._from[place]

    def _make_room(self, place: str | None = None) -> bool:
        for one, where in self._inside.items():
            if place in (None, where) and not one.busy:
                self.leave(one)
                one.transport.abort()
                return True
        return False


def _place(address: str) -> str:
    """What counts as one address: a machine has billions of IPv6 addresses."""
    with suppress(ValueError):
        read = ip_address(address)
        if isinstance(read, IPv6Address):
            return str(int(read) >> 64)
    return address


class Connection(H11Protocol):
    """One connection, ended when what is awaited of it does not come in time."""

    def __init__(self, doors: Doors, **given: Any) -> None:
        super().__init__(**given)
        self._doors = doors
        self._answered = 0
        self._awaited: tuple[int, str] | None = None
        self._end: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._doors.enter(self):
            self._await("head")
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._doors.leave(self)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._await("answer" if self.busy else "head")

    def on_response_complete(self) -> None:
        self._answered += 1
        super().on_response_complete()
        self._await("answer" if self.busy else "rest")

    def _await(self, what: str) -> None:
        """Begin to wait for something; what was awaited already gets no more time by a byte that came of it."""
        if (self._answered, what) == self._awaited:
            return
        self._awaited = (self._answered, what)
        if self._end is not None:
            self._end.cancel()
        self._end = self.loop.call_later(HEAD_S if what == "head" else ANSWER_S, self.transport.abort)


class Server:
    """Uvicorn in a thread of its own; one that ended by itself is started again."""

    def __init__(self, app: Starlette, listen: str, limits: Limits, say: Callable[[str], None]) -> None:
        """`listen`: `host:port`; port 0 takes a free one."""
        host, _, port = listen.rpartition(":")
        self._app = app
        self._at = (host.strip("[]"), int(port))
        self._limits = limits
        self._say = say
        self._stopping = threading.Event()
        self._failed: BaseException | None = None
        self._server = self._next()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> str:
        """Listen; the address. Raises OSError if it cannot."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise OSError("the address is in use, or not of this machine") from self._failed
            self._thread.join(0.01)
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        self._at = (self._at[0], port)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def stop(self) -> None:
        """Finish what is being answered, and end."""
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join(10)

    def _next(self) -> uvicorn.Server:
        protocol: Any = partial(Connection, Doors(self._limits))
        return uvicorn.Server(
            uvicorn.Config(
                self._app, *self._at, http=protocol, log_level="warning", access_log=False, lifespan="off",
                timeout_keep_alive=_IDLE_S, h11_max_incomplete_event_size=16 * 1024, timeout_graceful_shutdown=2,
                server_header=False, ws="none",
            )
        )  # fmt: skip

    def _run(self) -> None:
        self._serve()
        begun = self._server.started  # where it could not begin at all, who called `start` hears it
        failed = 0
        while begun and not self._stopping.is_set():
            pause = _BACK_OFF_S[min(failed, len(_BACK_OFF_S) - 1)]
            why = self._failed or "nobody knows why"
            self._say(f"the HTTP server has ended: {why}. It starts again in {pause:g} s.")
            self._stopping.wait(pause)
            self._server = self._next()
            if not self._stopping.is_set():
                self._serve()
            failed = 0 if self._server.started else failed + 1

    def _serve(self) -> None:
        self._failed = None
        try:
            with suppress(SystemExit):
                self._server.run()
        except Exception as error:
            self._failed = error
