"""CometBFT's side of the socket, for tests of the application without CometBFT."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.engine.conformance import PATIENCE_S
from tests.store.world import World
from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.application import Application, chain_id
from tocsin.engine.cometbft.protobuf import decode, encode, read_varint, varint
from tocsin.engine.cometbft.server import Server
from tocsin.engine.cometbft.snapshots import Snapshots
from tocsin.engine.signatures import Verifier
from tocsin.kernel.block import Outcome
from tocsin.kernel.reasons import Reason
from tocsin.store.moment import Moment
from tocsin.store.store import Store

_NUMBERS = {kind: number for number, kind in wire._REQUESTS.items()}
_KINDS = {number: kind for kind, number in wire._ANSWERS.items()}


def request(call: wire.Request) -> bytes:
    """A request in its frame."""
    data = encode(call)
    data = varint(_NUMBERS[type(call)] << 3 | 2) + varint(len(data)) + data
    return varint(len(data)) + data


class Connection:
    """One of the four connections."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(path))
        self._data = b""

    def close(self) -> None:
        self.socket.close()

    def send(self, *calls: wire.Request) -> None:
        self.socket.sendall(b"".join(map(request, calls)))

    def receive(self) -> Any:
        """The next answer; raises EOFError when the other side has hung up."""
        while True:
            try:
                length, at = read_varint(self._data, 0, len(self._data))
                if at + length <= len(self._data):
                    break
            except ValueError:
                pass
            try:
                more = self.socket.recv(1 << 20)
            except ConnectionResetError:
                more = b""
            if not more:
                raise EOFError
            self._data += more
        frame, self._data = self._data[at : at + length], self._data[at + length :]
        tag, at = read_varint(frame, 0, len(frame))
        size, at = read_varint(frame, at, len(frame))
        assert at + size == len(frame)
        return decode(_KINDS[tag >> 3], frame, at)

    def call(self, call: wire.Request) -> Any:
        """As CometBFT does it: the call, a Flush, and both answers."""
        self.send(call, wire.Flush())
        answer = self.receive()
        assert self.receive() == wire.Flush()
        return answer


class Driver:
    """An application behind a real socket, and a chain that is us. Time in ms is ours to choose."""

    def __init__(self, world: World, folder: Path, *, prune: bool = False) -> None:
        self.world = world
        self.folder = folder
        self.prune = prune
        self.now = world.created
        self.height = 0
        self.heard: list[tuple[bytes, Reason, bool]] = []
        self.errors: list[Exception] = []
        self.welcome = {"a" * 40}
        folder.mkdir(exist_ok=True)
        self.store = Store.open(folder / "store.db")
        self.store.create_network(world.genesis_bytes, world.founding_bytes)
        self.start()

    def start(self) -> None:
        """Start the application, and connect as CometBFT does."""
        records = self.store.network(self.world.origin)
        self.verifier = Verifier(2)
        snapshots = Snapshots(self.folder / "snapshots", Moment(self.store, records), records, self.errors.append)
        self.application = Application(
            records, self.folder, lambda: self.now, self.verifier, self, self.welcome.__contains__, snapshots, self.prune
        )
        self.server = Server(self.folder / "app", self.application, self.errors.append)
        self.connect()

    def connect(self) -> None:
        self.application.restarted()
        self.query, self.snapshot, self.mempool, self.consensus = (Connection(self.folder / "app") for _ in range(4))

    def hang_up(self) -> None:
        """CometBFT dies."""
        for one in (self.query, self.snapshot, self.mempool, self.consensus):
            one.close()
        self.server.hang_up()

    def stop(self) -> None:
        self.hang_up()
        self.server.close()
        self.application.close()
        self.verifier.close()

    def kill(self) -> None:
        """The application dies; its store is opened again as another process would."""
        self.stop()
        self.store.close()
        self.store = Store.open(self.folder / "store.db")
        self.start()

    def close(self) -> None:
        self.stop()
        self.store.close()

    # The observer.

    def checked(self, data: bytes, reason: Reason, *, again: bool) -> None:
        self.heard.append((data, reason, again))

    def committed(self, outcome: Outcome) -> None: ...

    def refused(self, why: str) -> None: ...

    def restored(self, height: int) -> None: ...

    # The chain.

    def init(self) -> wire.InitChainAnswer:
        answer: wire.InitChainAnswer = self.consensus.call(
            wire.InitChain(stamp(self.world.created), chain_id(self.world.identity), initial_height=1)
        )
        return answer

    def check(self, *txs: bytes, again: bool = False) -> list[wire.TxResult]:
        """Pipelined, as CometBFT sends them."""
        self.mempool.send(*(wire.CheckTx(tx, wire.RECHECK if again else wire.NEW) for tx in txs), wire.Flush())
        answers = [self.mempool.receive() for _ in txs]
        assert self.mempool.receive() == wire.Flush()
        return answers

    def prepare(self, txs: Sequence[bytes], at: int) -> tuple[bytes, ...]:
        call = wire.PrepareProposal(4_000_000, tuple(txs), (), self.height + 1, stamp(at))
        kept: tuple[bytes, ...] = self.consensus.call(call).txs
        return kept

    def process(self, txs: Sequence[bytes], at: int) -> int:
        call = wire.ProcessProposal(tuple(txs), (), b"h" * 32, self.height + 1, stamp(at))
        status: int = self.consensus.call(call).status
        return status

    def finalize(
        self, txs: Sequence[bytes], at: int, misbehavior: tuple[wire.Misbehavior, ...] = ()
    ) -> wire.FinalizeBlockAnswer:
        call = wire.FinalizeBlock(tuple(txs), misbehavior, b"h" * 32, self.height + 1, stamp(at))
        answer: wire.FinalizeBlockAnswer = self.consensus.call(call)
        return answer

    def commit(self) -> wire.CommitAnswer:
        answer: wire.CommitAnswer = self.consensus.call(wire.Commit())
        self.height += 1
        return answer

    def block(self, txs: Sequence[bytes], at: int) -> wire.FinalizeBlockAnswer:
        """A block, decided and kept."""
        answer = self.finalize(txs, at)
        self.commit()
        return answer

    def info(self) -> wire.InfoAnswer:
        answer: wire.InfoAnswer = self.query.call(wire.Info())
        return answer


def stamp(ms: int) -> wire.Timestamp:
    """Milliseconds as the wire has them."""
    return wire.Timestamp(ms // 1000, ms % 1000 * 1_000_000)
