"""One network on this node: its engine and all that hangs on it, started together, ended together, started again."""

import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

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
from tocsin.kernel.quorum import tolerated
from tocsin.kernel.upgrade import UnknownProtocol
from tocsin.node.finality.finality import Finality, Keys
from tocsin.node.finality.sealing import Sealing
from tocsin.node.finality.witnessing import OutsideWitness, Witnessing
from tocsin.node.follower import Follower, Forged
from tocsin.node.home import places
from tocsin.node.home.config import Config, NetworkUse
from tocsin.node.keys import KeyRole, Keystore, KeystoreError
from tocsin.node.relays.carrier import Carrier
from tocsin.node.relays.outbox import Outbox
from tocsin.node.status import Live, Trouble, describe, trouble_of
from tocsin.node.syncing import NoSync, trusted
from tocsin.node.web.remote import Remote, height_of
from tocsin.node.worker import why
from tocsin.store.errors import StoreError
from tocsin.store.moment import Moment
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store
from tocsin.store.watermark import SigningRefused, Watermark
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


class Station:
    """Starts with `start`; `stop` ends it cleanly."""

    def __init__(self, use: NetworkUse, shared: Shared) -> None:
        self.origin = use.origin
        self.live: Live | None = None
        """None while the engine does not run."""
        self.error = ""
        """Why it does not run; empty if it does."""
        self.restarts = 0
        self.trouble: Trouble | None = None
        """What the engine is in trouble with, or was last."""
        self._since = shared.clock()
        self._use = use
        self._wanted = use
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

    def change(self, use: NetworkUse) -> None:
        """Go on with another configuration of the same network: it starts again, at once."""
        self._wanted = use

    @property
    def changed(self) -> bool:
        """Whether it has not begun to run by its newest configuration."""
        return self._wanted is not self._use

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
        use, trouble = self._use, self.trouble
        lasting = trouble if live is not None and trouble is not None and trouble.until is None else None
        said: dict[str, Any] = {
            "origin": use.origin, "member": use.member, "engine": use.engine, "runs": live is not None,
            "since": self._since, "error": self.error, "restarts": self.restarts,
            "trouble": "" if lasting is None else lasting.what,
            "last_trouble": None if trouble is None else trouble._asdict(),
        }  # fmt: skip
        return said if live is None else said | describe(live, use, self._shared.keystore)

    def _say(self, sentence: str) -> None:
        self._shared.say(self.origin, sentence)

    def _supervise(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            begun = monotonic()
            try:
                self._once()
                continue  # it is to stop, or to change
            except Exception as error:
                self.error = self.error or why(error)
                if not isinstance(error.__cause__ or error, _FAILURES):
                    self._say("".join(traceback.format_exception(error)).rstrip())
            failed = 1 if monotonic() - begun > _STEADY_S else failed + 1
            pause = _BACK_OFF_S[min(failed, len(_BACK_OFF_S)) - 1]
            self._say(f"stopped: {self.error} It starts again in {pause:g} s.")
            again = monotonic() + pause
            while monotonic() < again and not self.changed and not self._stopping.wait(_LOOK_S):
                pass
            self.restarts += 1

    def _once(self) -> None:
        """Run until told to stop or to change. What it raises stands in `error` first: letting go of all takes time."""
        with ExitStack() as stack:
            try:
                self._run(stack)
            except Exception as error:
                self.error, self._since = why(error), self._shared.clock()
                raise

    def _run(self, stack: ExitStack) -> None:
        self._use = self._wanted
        live = self._open(stack)
        stack.callback(self._close_door)
        self.live, self.error, self._since = live, "", self._shared.clock()
        self._say(f"runs at height {live.engine.final()} with {live.records.durable[1]} leaves")
        workers = [
            *live.finality.workers, *live.witnessing.workers, *(one.worker for one in live.carriers),
            *(() if live.sealing is None else [live.sealing.worker]),
        ]  # fmt: skip
        while not self._stopping.wait(_LOOK_S):
            self._look_for_trouble(live.engine)
            if live.engine.error is not None:
                raise live.engine.error
            for worker in workers:
                worker.check()
            if self.changed:
                self._say("starts again with its new configuration")
                return
        self._say("stops")

    def _look_for_trouble(self, engine: Engine) -> None:
        told, now, before = trouble_of(engine), self._shared.clock(), self.trouble
        lasts = before is not None and before.until is None
        if before is not None and lasts and told != before.what:
            self.trouble = before._replace(until=now)
        if told and not (before is not None and lasts and told == before.what):
            self.trouble = Trouble(told, now, None)
            self._say(told)

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
        sealing = None
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
        return Live(records, genesis, engine, finality, Outbox(records), witnessing, carriers, sealing)

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
            prune=comet.prune,
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
        if height_of(remotes.values()) < SNAPSHOT_EVERY:
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
            if node in members and records.durable[0] == 0:
                return True  # founders may all have left since; only they are known here yet
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
