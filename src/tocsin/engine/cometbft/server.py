"""The socket on which CometBFT calls us.

It dials four connections and never says which is which. On each, answers go out in the order of the calls. What comes
while one is being answered is read all the same, up to a bound beyond which a flood waits in CometBFT: there, votes
of a peer wait behind its transactions, and while CometBFT's client cannot write it spins (its flush timer, meant as
20 ms, is one of 20 ns). A transaction that is refused is an answer; what the application raises is the node's own
failure: the connections close, CometBFT stops itself, and `failed` hears why.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.protobuf import WireError

_READ = 256 * 1024
_AHEAD = 16 * 1024 * 1024
"""Bytes that may wait here to be answered."""
_NAP_S = 0.01
"""Between two looks where transactions come, which CometBFT hands over one by one."""
_TOGETHER = 64
"""Calls answered in one go: the first of them waits for the last."""


class Answering(Protocol):
    """What answers. Called from several threads."""

    def answer(self, request: wire.Request) -> wire.Answer: ...

    def check(self, requests: Sequence[wire.CheckTx]) -> list[wire.TxResult]: ...


class Server:
    """Listens at a Unix socket from its making until `close`. One thread for each connection."""

    def __init__(self, path: Path, application: Answering, failed: Callable[[Exception], None]) -> None:
        self._application = application
        self._failed = failed
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(16)
        self._acceptor = threading.Thread(target=self._accept, name="abci", daemon=True)
        self._acceptor.start()

    @property
    def alive(self) -> bool:
        """Whether it listens."""
        return self._acceptor.is_alive()

    def close(self) -> None:
        """Close everything and wait for what is being answered."""
        with self._lock:
            self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections, and wait for what is being answered on them."""
        self._shut()
        for thread in list(self._threads):
            thread.join()

    def _shut(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), name="abci", daemon=True)
                self._threads = [one for one in self._threads if one.is_alive()] + [thread]
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        ahead = _Ahead(connection)
        try:
            self._converse(connection, ahead)
        except OSError:
            pass  # CometBFT has gone; who supervises it knows
        except Exception as error:
            self._failed(error)
            self._shut()
        finally:
            ahead.end()
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _converse(self, connection: socket.socket, ahead: "_Ahead") -> None:
        frames = wire.Frames()
        while data := ahead.take():
            try:
                requests = list(frames.feed(data))
            except WireError as error:
                raise ValueError(
                    f"CometBFT could not be understood: {error}. Is another version installed? "
                    "Run `tocsin engine install`."
                ) from error
            if requests and isinstance(requests[0], wire.CheckTx):
                ahead.nap_s = _NAP_S
            for start in range(0, len(requests), _TOGETHER):
                answers = self._answers(requests[start : start + _TOGETHER])
                connection.sendall(b"".join(map(wire.frame, answers)))

    def _answers(self, requests: list[wire.Request]) -> list[wire.Answer]:
        """In order; runs of CheckTx together, though CometBFT asks for a flush after every few."""
        answers: list[wire.Answer] = []
        run: dict[int, wire.CheckTx] = {}
        for place, request in enumerate(requests):
            if isinstance(request, wire.CheckTx):
                run[place] = request
                answers.append(wire.TxResult())
            elif isinstance(request, wire.Flush):
                answers.append(request)
            else:
                self._check(run, answers)
                answers.append(self._application.answer(request))
        self._check(run, answers)
        return answers

    def _check(self, run: dict[int, wire.CheckTx], answers: list[wire.Answer]) -> None:
        """Put the answers of a run where they belong, and end it."""
        if run:
            for place, answer in zip(run, self._application.check(list(run.values())), strict=True):
                answers[place] = answer
            run.clear()


class _Ahead:
    """Reads a connection in a thread of its own, while what came before is being answered."""

    def __init__(self, connection: socket.socket) -> None:
        self.nap_s = 0.0
        """Pause after each look."""
        self._connection = connection
        self._came = bytearray()
        self._ended = False
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="abci reader", daemon=True)
        self._thread.start()

    def take(self) -> bytearray:
        """All that has come, waiting for something; empty once the connection has ended."""
        with self._moved:
            while not self._came and not self._ended:
                self._moved.wait()
            came, self._came = self._came, bytearray()
            self._moved.notify()
        return came

    def end(self) -> None:
        """Read no more."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with self._moved:
            self._ended = True
            self._moved.notify()
        self._thread.join()

    def _read(self) -> None:
        data = b"begun"
        while data:
            try:
                data = self._connection.recv(_READ)
            except OSError:
                data = b""
            with self._moved:
                self._came += data
                self._ended = self._ended or not data
                self._moved.notify()
                while len(self._came) > _AHEAD and not self._ended:
                    self._moved.wait()
            if data and self.nap_s:
                time.sleep(self.nap_s)
