"""A tree of networks with real nodes in this process: real sockets, stores and keys, no mocks."""

import io
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import msgspec

from tocsin.cli.main import main
from tocsin.client.policy import Policy, policy_of_genesis
from tocsin.client.signing import verify_signature
from tocsin.kernel.acts import Act, Concur, Judge, Subject, Submit
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.genesis import decode_genesis
from tocsin.kernel.quorum import finality
from tocsin.node.agency import Agency
from tocsin.node.home import config as configs
from tocsin.node.home.config import Config
from tocsin.node.keys import Keystore
from tocsin.node.station import Live, Station
from tocsin.node.trial import testnet
from tocsin.node.trial.testnet import Net, Tree
from tocsin.node.web.remote import Remote, RemoteError, caller
from tocsin.tlog import Checkpoint, Cosigner, checkpoint, cosignature, note

PATIENCE_S = 300.0
"""Only what never comes about takes so long: how busy a machine is must not decide a test."""
DAY_MS = 86_400_000


def now() -> int:
    return time.time_ns() // 1_000_000


def until(what: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports for processes that start later, which nobody else is given meanwhile.

    Who listens there is not hindered: several sockets may be bound to one port while at most one of them listens.
    """
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
        yield ports


def command(*words: object, code: int | None = 0) -> str:
    """Run `tocsin` in this process, which is quicker; what it prints, with what it complains about if it fails.

    `code`: how it must end; None if that does not matter.
    """
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        got = main([str(word) for word in words])
    out.seek(0)
    said = out.read()
    assert code in (None, got), said + err.getvalue()
    return said if got == 0 else said + err.getvalue()


class Nodes:
    """The nodes of a tree, by agency; started one by one or all."""

    def __init__(
        self, folder: Path, nets: Sequence[Net], change: Callable[[str, Config], Config] | None = None,
        charter: Callable[[Net], Charter] = lambda net: testnet.pilot(net, 1),
    ) -> None:  # fmt: skip
        """`change`: what to make of a node's configuration."""
        self.folder = folder
        self.tree: Tree = testnet.write(folder, nets, "follow", charter)
        self.keys = Keystore.open(folder / "keys.json", warn=lambda _: None)
        self.said: list[tuple[str, str, str]] = []
        self.running: dict[str, Agency] = {}
        self.client = caller()
        self.change = change or (lambda name, config: config)

    def start(self, *names: str) -> None:
        """All of them, or some."""
        for name in names or [node.name for node in self.tree.nodes]:
            config = self.change(name, configs.load(self.folder / name))
            agency = Agency(
                config, Keystore.open(config.keystore, warn=lambda _: None), now,
                lambda network, sentence, who=name: self.said.append((who, network, sentence)),  # type: ignore[misc]
                self.folder / name / configs.NAME,
            )  # fmt: skip
            agency.start()
            self.running[name] = agency

    def stop(self, *names: str) -> None:
        stopping = [Thread(target=self.running.pop(name).stop) for name in names or list(self.running)]
        for one in stopping:
            one.start()
        for one in stopping:
            one.join()

    def close(self) -> None:
        self.stop()
        self.client.close()

    def station(self, name: str, origin: str) -> Station:
        return self.running[name].stations[origin]

    def live(self, name: str, origin: str) -> Live:
        station = self.station(name, origin)
        until(lambda: station.live is not None or not station._thread.is_alive())
        assert station.live is not None
        return station.live

    def remote(self, name: str, origin: str) -> Remote:
        return Remote(self.client, self.tree.node(name).url, origin)

    def act(self, name: str, origin: str, member: str, *acts: Act) -> str:
        """Acts of a member through one node, all accepted; the envelope's digest."""
        self.live(name, origin)  # a node that was started a moment ago listens before its networks run
        return testnet.act(self.keys, self.remote(name, origin), member, acts)

    def record(self, origin: str) -> str:
        """A report of the first agency that all endorse and the supervisor lets pass; its message id."""
        net = self.tree.net(origin)
        author = net.own[0]
        subject = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, now() // DAY_MS, 2, "actual")
        message = message_id(
            self.act(author, origin, author, Submit("report.cluster.dengue", "new", subject, None, None)), 0
        )
        self.vote(origin, message, author)
        return message

    def vote(self, origin: str, message: str, author: str | None = None) -> None:
        """All voters endorse a message while it is open, and the supervisor concurs."""
        net = self.tree.net(origin)
        live = self.live(net.own[0], origin)

        def open() -> bool:
            row = live.records.row(f"message:{message}")
            return row is not None and b'"state":"open"' in row

        for member in net.members:
            if member != author and "voter" in testnet.roles_of(net, member) and open():
                with suppress(testnet.TestnetError):  # a relay does not judge what it represents
                    self.act(net.own[0], origin, member, Judge(message, "endorse", None, "officer", None, None))
        if live.records.row(f"message:{message}") is not None:
            with suppress(testnet.TestnetError):  # the time for a veto, a second, may be over before the block
                self.act(net.own[0], origin, net.own[-1], Concur(message))
            until(lambda: live.records.row(f"message:{message}") is None)

    def policy(self, origin: str) -> Policy:
        return policy_of_genesis(decode_genesis(self.live(self.tree.net(origin).own[0], origin).records.genesis))

    def final(self, name: str, origin: str, size: int, patience_s: float = PATIENCE_S) -> Checkpoint:
        """Wait until a node serves a final checkpoint of at least this size; checked by the policy of the founders."""
        remote, policy = self.remote(name, origin), self.policy(origin)
        head: Checkpoint | None = None

        def reached() -> bool:
            nonlocal head
            try:
                data = remote.checkpoint()
            except RemoteError:  # it is starting
                return False
            head = None if data is None else opened(data, policy)
            return head is not None and head.size >= size

        until(reached, patience_s)
        assert head is not None
        return head


def opened(data: bytes, policy: Policy) -> Checkpoint:
    """A checkpoint that has the log's signature and a quorum of finality signatures, as a stranger checks it."""
    parsed = note.parse(data)
    (log,) = note.signature_checks(parsed, policy.log)
    assert verify_signature(*log)
    lines = cosignature.final_lines(
        parsed, [Cosigner(f"{policy.origin}/{one.id}", bytes.fromhex(one.finality)) for one in policy.roster]
    )
    signed = cosignature.count(lines, [verify_signature(*line[:3]) for line in lines])
    assert len(signed) >= finality(len(policy.roster))
    return checkpoint.parse(parsed.text)


class Liar:
    """Stands before a node and changes some of its answers."""

    def __init__(self, url: str, change: Callable[[str, bytes], bytes]) -> None:
        """`change`: (path, true answer) -> what is said."""
        client = httpx.Client(trust_env=False, timeout=40, headers={"accept-encoding": "identity"})

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer("GET", b"")

            def do_POST(self) -> None:
                self._answer("POST", self.rfile.read(int(self.headers["content-length"])))

            def _answer(self, method: str, body: bytes) -> None:
                try:
                    true = client.request(method, url + self.path, content=body)
                except httpx.HTTPError:
                    self.close_connection = True
                    return
                said = change(self.path, true.content) if true.status_code == 200 else true.content
                self.send_response(true.status_code)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None: ...

        self._client = client
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._client.close()


def through(config: Config, member: str, url: str) -> Config:
    """A configuration in which another member's node is asked at another address."""
    networks = [
        msgspec.structs.replace(use, members=use.members | ({member: url} if member in use.members else {}))
        for use in config.networks
    ]
    return msgspec.structs.replace(config, networks=networks)
