"""Who may stay connected to a node: raw sockets that are slow, silent or many, and members who are served all the same."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.node.net import PATIENCE_S, Nodes, until
from tests.paths import ROOT
from tocsin.kernel.acts import Present
from tocsin.node.home.config import Config
from tocsin.node.trial import testnet
from tocsin.node.web import http
from tocsin.node.web import server as served
from tocsin.node.web.server import Connection, Doors, Limits, Server

ORIGIN = "testnet.example/1-1"
ONE, TWO = "1-1-a1", "1-1-a2"
STRANGER = "127.0.0.2"
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
LIMITS = Limits(12, 4)


async def _small(request: Request) -> Response:
    return Response(b"here")


async def _large(request: Request) -> Response:
    return Response(bytes(32 * 1024 * 1024))


async def _never(request: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


class Place:
    """A server with three pages. `said`: what it complained about."""

    def __init__(self) -> None:
        self.said: list[str] = []
        app = Starlette(routes=[Route("/", _small), Route("/large", _large), Route("/never", _never)])
        self.server = Server(app, "127.0.0.1:0", LIMITS, self.said.append)
        host, _, port = self.server.start().partition(":")
        self.at = host, int(port)
        self.sockets = ExitStack()

    def connect(self, source: str = STRANGER, say: bytes = b"") -> socket.socket:
        one = self.sockets.enter_context(socket.create_connection(self.at, PATIENCE_S, (source, 0)))
        with suppress(ConnectionError):  # it may have been ended by now
            one.sendall(say)
        return one

    def close(self) -> None:
        self.sockets.close()
        self.server.stop()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def heard(one: socket.socket) -> bytes:
    """What comes before the end, or the first answer."""
    got = b""
    with suppress(ConnectionError):
        while part := one.recv(65_536):
            got += part
            if got.endswith(b"here"):
                break
    return got


def ended(one: socket.socket) -> bool:
    """Whether the server ends it; the socket's own time limit ends the waiting, with an error."""
    with suppress(ConnectionError):
        while one.recv(65_536):
            pass
    return True


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nhost:", b"POST / HTTP/1.1\r\nhost: x\r\n"])
def test_whose_head_does_not_come_is_not_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(served, "HEAD_S", 0.2)
    assert ended(place.connect(say=said))


@pytest.mark.parametrize("first", [b"", REQUEST, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"])
def test_a_byte_now_and_then_earns_no_more_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    """Neither in a head, nor in that of a second request, nor in a body that nobody reads."""
    monkeypatch.setattr(served, "HEAD_S", 2)  # in which a busy machine comes to send two bytes
    one = place.connect(say=first)
    if first:
        assert one.recv(65_536).startswith(b"HTTP/1.1 ")
    one.settimeout(0.05)
    sent = 0
    with suppress(ConnectionError):
        while _goes_on(one):
            sent += 1
    assert sent > 1


def _goes_on(one: socket.socket) -> bool:
    """Send a byte; whether the server lets the connection be."""
    one.sendall(b"X")
    with suppress(TimeoutError):
        return one.recv(65_536) != b""
    return True


@pytest.mark.parametrize("page", ["large", "never"])
def test_an_answer_does_not_take_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    """One that the caller does not take, and one that we do not give."""
    monkeypatch.setattr(served, "ANSWER_S", 0.5)
    lost: list[Connection] = []
    end = Connection.connection_lost
    monkeypatch.setattr(Connection, "connection_lost", lambda self, error: (lost.append(self), end(self, error)))
    place.connect(say=f"GET /{page} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    # That it was there cannot be looked for: on a busy machine it is gone before.
    until(lambda: lost and not place.server._server.server_state.connections)


def test_a_flood_from_one_address_drives_out_itself(place: Place) -> None:
    member = place.connect("127.0.0.1", REQUEST)
    assert heard(member).endswith(b"here")
    flood = [place.connect(say=b"GET") for _ in range(40)]
    assert all(ended(one) for one in flood[: -LIMITS.per_address])
    member.sendall(REQUEST)
    assert heard(member).endswith(b"here")
    assert heard(place.connect("127.0.0.1", REQUEST)).endswith(b"here")


def test_who_is_being_answered_does_not_give_way(place: Place) -> None:
    asking = [place.connect(say=b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(LIMITS.per_address)]
    connections = place.server._server.server_state.connections
    until(lambda: sum(one.busy for one in tuple(connections)) == len(asking))  # type: ignore[union-attr]
    assert ended(place.connect(say=REQUEST))
    assert len(connections) == len(asking)
    assert heard(place.connect("127.0.0.1", REQUEST)).endswith(b"here")


def test_a_flood_from_many_addresses_gives_way_to_who_asks(place: Place) -> None:
    flood = [place.connect(f"127.0.0.{number}", b"GET") for number in range(2, 42)]
    assert heard(place.connect("127.0.0.1", REQUEST)).endswith(b"here")
    assert all(ended(one) for one in flood[: -LIMITS.connections])


class Caller:
    """As much of a connection as the doors look at."""

    busy = True

    def __init__(self, address: str) -> None:
        self.client = (address, 1)


def test_addresses_of_one_machine_count_as_one() -> None:
    doors = Doors(Limits(12, 1))
    assert doors.enter(Caller("2001:db8::1"))  # type: ignore[arg-type]
    assert not doors.enter(Caller("2001:db8::2"))  # type: ignore[arg-type]
    assert doors.enter(Caller("2001:db8:0:1::2"))  # type: ignore[arg-type]
    assert doors.enter(Caller("192.0.2.1"))  # type: ignore[arg-type]
    assert doors.enter(Caller("192.0.2.2"))  # type: ignore[arg-type]


def test_a_server_that_ended_by_itself_starts_again_at_the_same_address(place: Place) -> None:
    place.server._server.should_exit = True
    until(lambda: place.said)
    assert "the HTTP server has ended" in place.said[0]
    until(lambda: place.server._server.started and not place.server._server.should_exit)
    assert heard(place.connect(say=REQUEST)).endswith(b"here")


def test_members_decide_while_a_stranger_holds_all_it_can(tmp_path: Path) -> None:
    """Slow heads from one address, without end, at every node of a network."""
    limits = {"connections": 64, "connections_per_address": 32}
    nodes = Nodes(tmp_path, testnet.shape(3, [1]), lambda name, config: msgspec.structs.replace(config, **limits))
    nodes.start()
    nodes.live(ONE, ORIGIN)
    with ExitStack() as stack:
        for node in nodes.tree.nodes:
            host, _, port = node.url.removeprefix("http://").partition(":")
            for _ in range(200):
                one = stack.enter_context(socket.create_connection((host, int(port)), 30, (STRANGER, 0)))
                with suppress(ConnectionError):
                    one.sendall(b"GET /status HTTP/1.1\r\n")
        for day in range(5):
            nodes.act(TWO, ORIGIN, TWO, Present(day))
        size = nodes.live(ONE, ORIGIN).records.durable[1]
        for node in nodes.tree.nodes:
            assert nodes.final(node.name, ORIGIN, size).size == size
    nodes.close()


def test_the_limits_of_a_configuration_count(tmp_path: Path) -> None:
    def change(name: str, config: Config) -> Config:
        return msgspec.structs.replace(config, connections_per_address=8)

    nodes = Nodes(tmp_path, testnet.shape(2, [1]), change)
    nodes.start(ONE)
    host, _, port = nodes.running[ONE].address.partition(":")
    with ExitStack() as stack:
        flood = [
            stack.enter_context(socket.create_connection((host, int(port)), 30, (STRANGER, 0))) for _ in range(9)
        ]
        assert ended(flood[0])
    nodes.close()


def test_the_reference_says_what_the_limits_are() -> None:
    page = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    usual = Config("x:1", Path(), Path(), Path(), [])
    for said in (
        f"head has {served.HEAD_S:g} s", f"body {http.BODY_S:g} s", f"answer {served.ANSWER_S:g} s",
        f"{usual.connections} connections", f"{usual.connections_per_address} of them to one address",
    ):  # fmt: skip
        assert said in page
