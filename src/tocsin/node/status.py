"""What a network on this node says of itself while it runs: to a person, and to the other members' nodes."""

from time import monotonic
from typing import Any, NamedTuple

import msgspec

from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.port import Engine
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.quorum import finality as quorum
from tocsin.kernel.rows import Member
from tocsin.node.finality.finality import Finality
from tocsin.node.finality.sealing import Sealing
from tocsin.node.finality.witnessing import Witnessing
from tocsin.node.home.config import NetworkUse
from tocsin.node.keys import Keystore
from tocsin.node.relays.carrier import Carrier
from tocsin.node.relays.outbox import Outbox
from tocsin.store.network import NetworkStore
from tocsin.tlog import note

_read_member = msgspec.json.Decoder(Member).decode


class Live(NamedTuple):
    """A network while its engine runs (`tocsin.node.web.http.Network`)."""

    records: NetworkStore
    genesis: Genesis
    engine: Engine
    finality: Finality
    outbox: Outbox
    witnessing: Witnessing
    carriers: list[Carrier]
    sealing: Sealing | None

    def checkpoint(self) -> bytes | None:
        """The newest final checkpoint, with what outside witnesses signed of it."""
        found = self.records.checkpoint()
        if found is None:
            return None
        extra = self.witnessing.lines(found.size)
        return found.note + "".join(note.format_line(line) for line in extra).encode()


class Trouble(NamedTuple):
    """What keeps an engine from something without halting it. `since`, `until`: ms; `until` is None while it lasts."""

    what: str
    since: int
    until: int | None


def describe(live: Live, use: NetworkUse, keys: Keystore) -> dict[str, Any]:
    """Heights, members, and what hangs on them. `roster`: everybody the network knows, with their status; `keys`:
    those of theirs that are in force."""
    height, size = live.records.durable
    signers = live.finality.epochs.signers(size)
    roster = [_read_member(row) for _, row in live.records.rows("member")]
    return {
        "genesis": live.genesis.digest,
        "height": height,
        "size": size,
        "final": live.finality.final,
        "roster": {one.id: one.status for one in roster},
        "keys": {one.id: one.keys for one in roster},
        "signers": [one.id for one in signers],
        "need": quorum(len(signers)),
        "peers": [key.partition(":")[2] for key, _ in live.records.rows("peer")],
        "members": {id: _seen(live.finality, id, url) for id, url in sorted(use.members.items())},
        "relays": {carrier.origin: dict(carrier.errors) for carrier in live.carriers},
        "witnesses": live.witnessing.errors,
        "contradictions": len(live.finality.contradictions),
        "connected": live.engine.connected() if isinstance(live.engine, CometEngine) else None,
        "sync": live.engine.sync if isinstance(live.engine, CometEngine) else "",
        "idle_s": round(live.engine.idle_s, 1) if isinstance(live.engine, CometEngine) else None,
        **_keys(live.records, use, keys),
    }


def trouble_of(engine: Engine) -> str:
    """What keeps an engine from something without halting it; empty if nothing does."""
    return engine.trouble if isinstance(engine, CometEngine) else ""


def _seen(finality: Finality, id: str, url: str) -> dict[str, Any]:
    seen = finality.seen.get(id)
    if seen is None:
        return {"url": url, "size": 0, "ago_s": None, "error": "not asked yet"}
    return {"url": url, "size": seen.size, "ago_s": round(monotonic() - seen.at, 1), "error": seen.error}


def _keys(records: NetworkStore, use: NetworkUse, keys: Keystore) -> dict[str, list[str]]:
    """Which of our own keys are not those in force any more, or not yet, and which are not here."""
    row = records.row(f"member:{use.member}")
    held = {key.role: key.public for key in keys.entries() if (key.network, key.member) == (use.origin, use.member)}
    if row is None:
        return {"stale": [], "lacks": []}
    needed = ("finality", "validator") if use.engine == "cometbft" else ("finality",)
    stale = [role for role, public in held.items() if role != "root" and public.encode() not in row]
    return {"stale": sorted(stale), "lacks": [role for role in needed if role not in held]}
