"""One network on this node: its engine and all that hangs on it, started together, ended together, started again."""

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import httpx

from tocsin.engine.cometbft import install
from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.cometbft.heights import HeightsLost, begun
from tocsin.engine.cometbft.home import Settings, Sync, first_votes
from tocsin.engine.embedded.engine import EmbeddedEngine
from tocsin.engine.port import Clock, Engine
from tocsin.engine.signatures import Checker
from tocsin.kernel.block import SNAPSHOT_EVERY
from tocsin.kernel.genesis import Genesis, decode_genesis
from tocsin.kernel.quorum import finality as quorum
from tocsin.kernel.quorum import tolerated
from tocsin.kernel.upgrade import UnknownProtocol
from tocsin.node import places
from tocsin.node.carrier import Carrier
from tocsin.node.config import Config, NetworkUse
from tocsin.node.finality import Finality, Keys
from tocsin.node.follower import Follower, Forged
from tocsin.node.keys import KeyRole, Keystore, KeystoreError
from tocsin.node.outbox import Outbox
from tocsin.node.remote import Remote, RemoteError
from tocsin.node.sealing import Sealing
from tocsin.node.syncing import NoSync, trusted
from tocsin.node.witnessing import OutsideWitness, Witnessing
from tocsin.store.errors import StoreError
from tocsin.store.moment import Moment
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store
from tocsin.store.watermark import SigningRefused, Watermark
from tocsin.tlog import note
from tocsin.tlog.note import parse_vkey

_LOOK_S = 0.2
_LEAVE_S = 40.0
"""For requests that are being answered; none takes longer."""
_BACK_OFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Pauses before one start after another; a run of a minute begins anew."""
_STEADY_S = 60.0

_FAILURES = (
    StoreError, SigningRefused, KeystoreError, HeightsLost, install.EngineMissing, Forged, UnknownProtocol, OSError,
    RuntimeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shared:
    """What the networks of one node have in common. `say`: (network, sentence) for the log."""

    config: Config
    keystore: Keystore
    client: httpx.Client
    clock: Clock
    verifier: Checker
    say: Callable[[str, str], None]


class Live(NamedTuple):
    """A network while its engine runs (`tocsin.node.http.Network`)."""

    records: NetworkStore
    genesis: Genesis
    engine: Engine
    finality: Finality
    outbox: Outbox
    witnessing: Witnessing
    carriers: list[Carrier]

    def checkpoint(self) -> bytes | None:
        """The newest final checkpoint, with what outside witnesses signed of it."""
        found = self.records.checkpoint()
        if found is None:
            return None
        extra = self.witnessing.lines(found.size)
        return found.note + "".join(note.format_line(line) for line in extra).encode()


class Station:
    """Starts with `start`; `stop` ends it cleanly."""

    def __init__(self, use: NetworkUse, shared: Shared) -> None:
        self.origin = use.origin
        self.live: Live | None = None
        """None while the engine does not run."""
        self.error = ""
        """Why it does not run; empty if it does."""
        self.restarts = 0
        self._use = use
        self._shared = shared
        self._guests = 0
        self._door = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name=f"station {use.origin}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; all that is final is on disk."""
        self._stopping.set()
        self._thread.join()

    # For the server.

    def enter(self) -> Live | None:
        """The network if its engine runs; it is not closed before `leave`."""
        with self._door:
            if self.live is not None:
                self._guests += 1
            return self.live

    def leave(self) -> None:
        """Of each `enter` that gave one."""
        with self._door:
            self._guests -= 1
            self._door.notify_all()

    @property
    def closing(self) -> bool:
        """Whether everybody should leave soon."""
        return self.live is None

    def _close_door(self) -> None:
        """Let nobody in, and wait until all have left: the store must not be closed under them."""
        with self._door:
            self.live = None
            self._door.wait_for(lambda: not self._guests, _LEAVE_S)

    def status(self) -> dict[str, Any]:
        """What to tell a person: where it stands, and who is missing."""
        live = self.enter()
        try:
            return self._status(live)
        finally:
            if live is not None:
                self.leave()

    def _status(self, live: Live | None) -> dict[str, Any]:
        use = self._use
        said: dict[str, Any] = {
            "origin": use.origin, "member": use.member, "engine": use.engine, "runs": live is not None,
            "error": self.error, "restarts": self.restarts,
        }  # fmt: skip
        if live is None:
            return said
        height, size = live.records.durable
        signers = live.finality.epochs.signers(size)
        return said | {
            "genesis": live.genesis.digest,
            "height": height,
            "size": size,
            "final": live.finality.final,
            "signers": [one.id for one in signers],
            "need": quorum(len(signers)),
            "peers": [key.partition(":")[2] for key, _ in live.records.rows("peer")],
            "members": {id: _seen(live.finality, id, url) for id, url in sorted(use.members.items())},
            "relays": {carrier.origin: dict(carrier.errors) for carrier in live.carriers},
            "witnesses": live.witnessing.errors,
            "contradictions": len(live.finality.contradictions),
            "trouble": _trouble(live.engine),
            "idle_s": _idle(live.engine),
            "stale": self._stale(live.records),
        }

    def _stale(self, records: NetworkStore) -> list[str]:
        """Which of our own keys are not those in force any more, or not yet."""
        row = records.row(f"member:{self._use.member}")
        if row is None:
            return []
        held = {
            key.role: key.public for key in self._shared.keystore.entries()
            if (key.network, key.member) == (self.origin, self._use.member)
        }  # fmt: skip
        return [role for role in ("act", "finality", "validator") if role in held and held[role].encode() not in row]

    def _say(self, sentence: str) -> None:
        self._shared.say(self.origin, sentence)

    def _supervise(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            begun = monotonic()
            try:
                with ExitStack() as stack:
                    self._run(stack)
            except _FAILURES as error:
                self.error = str(error) or type(error).__name__
            if self._stopping.is_set():
                return
            failed = 1 if monotonic() - begun > _STEADY_S else failed + 1
            pause = _BACK_OFF_S[min(failed, len(_BACK_OFF_S)) - 1]
            self._say(f"stopped: {self.error} It starts again in {pause:g} s.")
            self._stopping.wait(pause)
            self.restarts += 1

    def _run(self, stack: ExitStack) -> None:
        live = self._open(stack)
        stack.callback(self._close_door)
        self.live = live
        self.error = ""
        self._say(f"runs at height {live.engine.final()} with {live.records.durable[1]} leaves")
        trouble = ""
        while not self._stopping.wait(_LOOK_S):
            before, trouble = trouble, _trouble(live.engine)
            if trouble and trouble != before:
                self._say(trouble)
            if live.engine.error is not None:
                raise live.engine.error
            if live.finality.error:
                raise RuntimeError(live.finality.error)
        self._say("stops")

    def _open(self, stack: ExitStack) -> Live:
        """Everything, in the order in which it depends on each other; `stack` ends it the other way round."""
        use, shared, config = self._use, self._shared, self._shared.config
        store = stack.enter_context(Store.open(places.database(config.data_dir, use.origin)))
        records = store.network(use.origin)
        genesis = decode_genesis(records.genesis)
        remotes = {id: Remote(shared.client, url, use.origin) for id, url in use.members.items()}
        watermark = stack.enter_context(Watermark.open(places.signed_heads(config.signed_heads, use.origin)))
        engine = self._engine(store, records, genesis, remotes)
        stack.callback(engine.stop)
        finality = Finality(
            records, engine, self._keys(), genesis.log_key, watermark, remotes, shared.clock, self._say
        )
        finality.start()
        stack.callback(finality.stop)
        outside = [OutsideWitness(one.url, parse_vkey(one.vkey)) for one in use.witnesses]
        witnessing = Witnessing(records, finality, outside, shared.client, self._say)
        witnessing.start()
        stack.callback(witnessing.stop)
        carriers = self._carriers(records, engine, genesis)
        for carrier in carriers:
            carrier.start()
            stack.callback(carrier.stop)
        if use.member is not None and self._has("act"):
            sealing = Sealing(
                records, engine, finality, genesis.digest, use.member, self._signer("act"), shared.clock, self._say
            )
            sealing.start()
            stack.callback(sealing.stop)
        return Live(records, genesis, engine, finality, Outbox(records), witnessing, carriers)

    def _engine(
        self, store: Store, records: NetworkStore, genesis: Genesis, remotes: Mapping[str, Remote]
    ) -> Engine:
        use, shared = self._use, self._shared
        if use.engine == "embedded":
            return EmbeddedEngine(records, shared.clock, shared.verifier)
        if use.engine == "follow":
            orderer = remotes[use.follow or ""]
            others = [remote for id, remote in remotes.items() if id != use.follow]
            return Follower(records, orderer, others, shared.clock, shared.verifier, self._say)
        comet, data_dir = use.cometbft, shared.config.data_dir
        settings = Settings(
            places.comet_home(data_dir, use.origin),
            self._seed("validator"),
            places.node_key(data_dir, use.origin),
            comet.listen,
            tuple(comet.peers.values()),
            announce=comet.announce or "",
            commit_ms=comet.block_ms,
            one_host=comet.one_host,
            rpc=comet.rpc,
            sync=self._sync(records, genesis, remotes),
            votes=places.last_votes(shared.config.signed_heads, use.origin),
        )
        moment = Moment(store, records)
        return CometEngine(
            records, genesis, install.find(), settings, shared.clock, shared.verifier, moment, self._welcome(records)
        )

    def _sync(self, records: NetworkStore, genesis: Genesis, remotes: Mapping[str, Remote]) -> Sync | None:
        """Where a new node gets a snapshot; None for one that has blocks, or where there is none or nobody to ask."""
        comet = self._use.cometbft
        heights = places.comet_home(self._shared.config.data_dir, self.origin) / "heights"
        if begun(heights, records.durable[0]) or not comet.sync:
            return None
        if max(map(_height, remotes.values()), default=0) < SNAPSHOT_EVERY:
            return None
        try:
            return trusted(self._shared.client, comet.sync, tolerated(len(genesis.members)))
        except NoSync as error:
            self._say(f"No snapshot is asked for, the chain is replayed: {error}.")
            return None

    def _welcome(self, records: NetworkStore) -> Callable[[str], bool]:
        """Who may connect to CometBFT: nodes of those who belong to the network, and observers' that we know."""
        comet = self._use.cometbft
        members = {address.partition("@")[0]: id for id, address in comet.peers.items()}

        def welcome(node: str) -> bool:
            if node in comet.observers:
                return True
            row = records.row(f"member:{members[node]}") if node in members else None
            return row is not None and (b'"status":"active"' in row or b'"status":"suspended"' in row)

        return welcome

    def _carriers(self, records: NetworkStore, engine: Engine, genesis: Genesis) -> list[Carrier]:
        use, shared = self._use, self._shared
        if use.member is None:
            return []
        return [
            Carrier(
                records, engine, genesis.digest, use.member, self._signer("act"),
                [Remote(shared.client, url, peer.origin) for url in peer.urls], shared.clock, self._say,
            )
            for peer in use.peers
        ]  # fmt: skip

    # Keys.

    def _keys(self) -> Keys:
        """The finality keys of all members whose keys are here: our own, and those in our custody."""
        store, origin = self._shared.keystore, self.origin
        held = {(key.member, key.role) for key in store.entries() if key.network == origin}
        log = store.signer(origin, "", "log") if ("", "log") in held else None
        return Keys(log, {id: store.signer(origin, id, "finality") for id, role in held if role == "finality"})

    def _has(self, role: KeyRole) -> bool:
        entries = self._shared.keystore.entries()
        return any((key.network, key.member, key.role) == (self.origin, self._use.member, role) for key in entries)

    def _signer(self, role: KeyRole) -> Any:
        return self._shared.keystore.signer(self.origin, self._use.member or "", role)

    def _seed(self, role: KeyRole) -> bytes | None:
        return self._shared.keystore.signer(self.origin, self._use.member or "", role).seed if self._has(role) else None


def _idle(engine: Engine) -> float | None:
    """Seconds since the last block; None where blocks come only when something happens."""
    return round(engine.idle_s, 1) if isinstance(engine, CometEngine) else None


def _height(remote: Remote) -> int:
    """Of the last block that changed something; 0 if the node does not say."""
    try:
        return int(remote.status()["height"])
    except (RemoteError, KeyError, TypeError, ValueError):
        return 0


def _trouble(engine: Engine) -> str:
    """What keeps an engine from something without halting it."""
    return engine.trouble if isinstance(engine, CometEngine) else ""


def _seen(finality: Finality, id: str, url: str) -> dict[str, Any]:
    seen = finality.seen.get(id)
    if seen is None:
        return {"url": url, "size": 0, "ago_s": None, "error": "not asked yet"}
    return {"url": url, "size": seen.size, "ago_s": round(monotonic() - seen.at, 1), "error": seen.error}


def found_here(config: Config, genesis: bytes, founding: bytes) -> str:
    """Take a network into the data directory, with a fresh list of what was signed; its origin.

    Raises StoreError, GenesisError, ValueError if it is here already.
    """
    origin = decode_genesis(genesis).origin
    path: Path = places.database(config.data_dir, origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Store.open(path) as store:
        store.create_network(genesis, founding)
    heads = places.signed_heads(config.signed_heads, origin)
    heads.parent.mkdir(parents=True, exist_ok=True)
    Watermark.open(heads, create=True).close()
    votes = places.last_votes(config.signed_heads, origin)
    if not votes.exists():
        first_votes(votes)
    return origin
