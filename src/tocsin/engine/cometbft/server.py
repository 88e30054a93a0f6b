"""The socket on which CometBFT calls us.

It dials four connections and never says which is which. On each, answers go out in the order of the calls, and
nothing is read while a call is being answered, so that a flood waits in CometBFT and not here. A transaction that is
refused is an answer; what the application raises is the node's own failure: the connections close, CometBFT stops
itself, and `failed` hears why.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.protobuf import WireError

_READ = 256 * 1024


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
        try:
            self._converse(connection)
        except OSError:
            pass  # CometBFT has gone; who supervises it knows
        except Exception as error:
            self._failed(error)
            self._shut()
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _converse(self, connection: socket.socket) -> None:
        frames = wire.Frames()
        while data := connection.recv(_READ):
            try:
                requests = list(frames.feed(data))
            except WireError as error:
                raise ValueError(
                    f"CometBFT could not be understood: {error}. Is another version installed? "
                    "Run `tocsin engine install`."
                ) from error
            if requests:
                connection.sendall(b"".join(map(wire.frame, self._answers(requests))))

    def _answers(self, requests: list[wire.Request]) -> list[wire.Answer]:
        """In order; runs of CheckTx together."""
        answers: list[wire.Answer] = []
        run: list[wire.CheckTx] = []
        for request in requests:
            if isinstance(request, wire.CheckTx):
                run.append(request)
                continue
            if run:
                answers += self._application.check(run)
                run = []
            answers.append(self._application.answer(request))
        if run:
            answers += self._application.check(run)
        return answers
