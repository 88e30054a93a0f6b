"""One validator as processes of its own: the real engine over its CometBFT, driven by lines of JSON.

Run as `python -m tests.faults.validator SETUP.json`. It is told what to submit on its standard input and tells what
became of it, what is final and what it signed on its standard output. A member's promise never to sign two heads of
one size is kept the way a node keeps it: written down outside the data directory first.
"""

import os
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from tests.engine.comet import now
from tests.faults.snapshots import Shown
from tests.store.world import World
from tocsin.engine.cometbft import engine as comet
from tocsin.engine.cometbft import restore, snapshots, wire
from tocsin.engine.cometbft.application import Application
from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.cometbft.heights import begun
from tocsin.engine.cometbft.home import Settings, Sync, first_votes
from tocsin.engine.cometbft.transactions import envelopes, together
from tocsin.engine.port import EngineBusy, EngineHalted, Receipt, Ticket
from tocsin.engine.signatures import Verifier
from tocsin.kernel import block as kernel
from tocsin.kernel.envelope import Refusal
from tocsin.store.moment import Moment
from tocsin.store.store import Store
from tocsin.store.watermark import SignedHead, Watermark

SNAPSHOT_EVERY = 32
"""Changing blocks between two snapshots; a thousand would take hours."""
CHUNK_BYTES = 20_000
"""Of a snapshot, so that it comes in many."""
_POLL_S = 0.05


class Setup(Struct, frozen=True):
    """What a validator is started with.

    `number`: whose validator key, if any; `seed`: of its node key, hex; `rpc`: where CometBFT answers others; `welcome`:
    ids of nodes that may connect; `skew_ms`: how wrong the application's clock is; `lies`: seed of its lies, if it
    proposes blocks that nobody may take; `sync`: servers, height and hash to start from a snapshot by.
    """

    program: str
    folder: str
    signed: str
    votes: str
    origin: str
    created: int
    window_s: int
    validators: int
    number: int | None
    seed: str
    listen: str
    rpc: str
    peers: list[str]
    welcome: list[str]
    skew_ms: int = 0
    lies: int | None = None
    sync: tuple[tuple[str, ...], int, str] | None = None

    @property
    def world(self) -> World:
        """The network, the same for all."""
        return World(
            self.origin, created=self.created, window_s=self.window_s, validators=self.validators
        )


class Liar(Application):
    """Proposes what no block may hold, and finds it good."""

    chance = Random()

    def answer(self, request: wire.Request) -> wire.Answer:
        if isinstance(request, wire.ProcessProposal):
            return wire.ProcessProposalAnswer(wire.ACCEPT)
        answer = super().answer(request)
        if isinstance(answer, wire.PrepareProposalAnswer):
            tell({"lied": True})
            return wire.PrepareProposalAnswer(self._spoilt(answer.txs))
        return answer

    def _spoilt(self, txs: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Bytes that are nothing, an envelope of an old block, one twice, one with another signature, each alone or in a
        group; a group that does not unpack, and one that would fill the memory."""
        old = [one for block in self.ledger.records.blocks(1) for one in block.envelopes]  # type: ignore[attr-defined]
        bad = [self.chance.randbytes(64).replace(b"\n", b"")]
        bad += [self.chance.choice(old)] if old else []
        if txs:
            first = envelopes(txs[0])[0]
            bad += [first, _forged(first)]
        bad += [together(bad), together(bad)[:-1], together([bytes(20_000_000), b""])]
        return (*txs, self.chance.choice(bad))


def _forged(envelope: bytes) -> bytes:
    place = envelope.index(b'"sig":"') + 10
    return envelope[:place] + (b"A" if envelope[place : place + 1] != b"A" else b"B") + envelope[place + 1 :]


class Told(CometEngine):
    """Tells which snapshots it turned down."""

    def refused(self, why: str) -> None:
        tell({"turned down": why})
        super().refused(why)


_telling = threading.Lock()


def tell(what: dict[str, Any]) -> None:
    """One line out."""
    with _telling:
        os.write(1, msgspec.json.encode(what) + b"\n")


class Validator:
    """The engine, and what it is asked."""

    def __init__(self, setup: Setup) -> None:
        kernel.SNAPSHOT_EVERY = SNAPSHOT_EVERY
        snapshots.CHUNK_BYTES = restore.CHUNK_BYTES = CHUNK_BYTES  # type: ignore[attr-defined]
        comet.Snapshots = Shown  # type: ignore[misc]
        world = setup.world
        folder = Path(setup.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._store = Store.open(folder / "store.db")
        if not self._store.networks():
            self._store.create_network(world.genesis_bytes, world.founding_bytes)
        self._records = self._store.network(setup.origin)
        signed = Path(setup.signed)
        self._mark = Watermark.open(signed, create=not signed.exists())
        votes = Path(setup.votes)
        if not votes.exists():
            first_votes(votes)
        self._verifier = Verifier(1)
        # As a node does it: who was killed on the way to a snapshot looks for one again.
        started = begun(folder / "cometbft" / "heights", self._records.durable[0])
        settings = Settings(
            folder / "cometbft", None if setup.number is None else _validator_seed(world, setup.number),
            bytes.fromhex(setup.seed), setup.listen, tuple(setup.peers), announce="127.0.0.1:9", commit_ms=100,
            round_ms=1500, heartbeat_s=2, one_host=True, rpc=setup.rpc,
            sync=None if setup.sync is None or started else Sync(*setup.sync), votes=votes,
        )  # fmt: skip
        if setup.lies is not None:
            Liar.chance = Random(setup.lies)
            comet.Application = Liar  # type: ignore[misc]
        welcome = frozenset(setup.welcome)
        self.engine = Told(
            self._records, world.genesis, Path(setup.program), settings, lambda: now() + setup.skew_ms, self._verifier,
            Moment(self._store, self._records), welcome.__contains__,
        )  # fmt: skip
        for run in (self._follow, self._sign, self._watch):
            threading.Thread(target=self._guard, args=(run,), daemon=True).start()

    def close(self) -> None:
        """A clean stop."""
        self.engine.stop()
        self._verifier.close()
        self._store.close()
        self._mark.close()

    def submit(self, name: str, data: bytes) -> None:
        """Offer an envelope and tell what becomes of it."""
        try:
            answer = self.engine.submit(data)
        except (EngineBusy, EngineHalted) as error:
            tell({"failed": name, "why": str(error)})
            return
        if isinstance(answer, Refusal):
            tell({"refused": name, "reason": int(answer.reason)})
        else:
            answer.add_done_callback(lambda ticket: _settled(name, ticket))

    def show(self, above: int | None, lies: int | None) -> None:
        """Which snapshots others may have of it."""
        shown = self.engine._snapshots
        assert isinstance(shown, Shown)
        shown.show(above, lies)

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:
            tell({"broken": f"{type(error).__name__}: {error}"})

    def _follow(self) -> None:
        for block in self.engine.blocks(-1):
            tell({"final": block.height, "size": block.size, "root": block.root.hex()})
        tell({"halted": str(self.engine.error)})

    def _sign(self) -> None:
        reached = -1
        while True:
            confirmed = self.engine.confirmed()
            for block in self._records.blocks(reached + 1, confirmed):
                head = SignedHead(self._records.origin, block.size, block.root)
                mark = self._mark.head(self._records.origin)
                if mark is None or head.size >= mark.size:
                    self._mark.admit([head])
                    tell({"signed": head.size, "root": head.root.hex()})
            reached = max(reached, confirmed)
            time.sleep(_POLL_S)

    def _watch(self) -> None:
        """Tell what is wrong with CometBFT, and how far a snapshot is."""
        trouble = sync = ""
        while True:
            if trouble != (trouble := self.engine.trouble):
                tell({"trouble": trouble})
            if sync != (sync := self.engine.sync):
                tell({"sync": sync})
            time.sleep(_POLL_S)


def _settled(name: str, ticket: Ticket) -> None:
    error = ticket.exception()
    if error is not None:
        tell({"failed": name, "why": str(error)})
        return
    answer = ticket.result()
    if isinstance(answer, Receipt):
        tell({"receipt": name, "height": answer.height, "position": answer.position, "codes": answer.codes})
    else:
        tell({"refused": name, "reason": int(answer.reason)})


def _validator_seed(world: World, number: int) -> bytes:
    return sha256(f"{world.origin}/{world.members[number]}/validator".encode()).digest()


def main() -> None:
    setup = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Setup)
    validator = Validator(setup)
    tell({"ready": True})
    for line in sys.stdin.buffer:
        asked = msgspec.json.decode(line)
        if "stop" in asked:
            break
        if "show" in asked:
            validator.show(*asked["show"])
            continue
        validator.submit(asked["name"], b64decode(asked["submit"]))
    validator.close()
    tell({"stopped": True})


if __name__ == "__main__":
    main()
