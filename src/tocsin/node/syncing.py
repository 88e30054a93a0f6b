"""Which block of CometBFT's chain a new node may trust, to begin with a snapshot instead of at the first block.

CometBFT's light client needs a header to start from. One more member than may lie must name the same: then one of
them is honest. It is the first one that so many have: from there the client leaps forward over as many blocks as the
validators stayed the same, while backwards it would fetch every single header, and give up after half a minute.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from tocsin.engine.cometbft.home import Sync
from tocsin.node.web.remote import RemoteError, call

_MAX_ANSWER = 4 * 1024 * 1024


class NoSync(Exception):
    """No block can be trusted now; the sentence says why. The chain can still be replayed."""


def trusted(client: httpx.Client, members: Mapping[str, str], liars: int) -> Sync:
    """A block that `liars` + 1 members name alike, and at least two. `members`: id -> host:port of CometBFT's RPC.

    Raises NoSync.
    """
    least = max(2, liars + 1)
    firsts = {id: height for id, at in members.items() if (height := _first(client, at))}
    if len(firsts) < least:
        raise NoSync(f"{len(firsts)} of {len(members)} members' CometBFT could be asked, and {least} are needed")
    told = {}
    for height in sorted(set(firsts.values())):
        hashes = {id: _hash(client, members[id], height) for id, first in firsts.items() if first <= height}
        (hash, votes), *_ = Counter(filter(None, hashes.values())).most_common(1) or [("", 0)]
        if votes >= least:
            servers = tuple(f"http://{members[id]}" for id, one in sorted(hashes.items()) if one == hash)
            return Sync(servers, height, hash)
        told[height] = hashes
    raise NoSync(f"the members do not agree on a block: {told}")


def _first(client: httpx.Client, at: str) -> int:
    """The height of the first block that a member's CometBFT has; 0 if it does not say."""
    said = _ask(client, at, "status")
    try:
        return int(said["result"]["sync_info"]["earliest_block_height"])
    except (KeyError, TypeError, ValueError):
        return 0


def _hash(client: httpx.Client, at: str, height: int) -> str:
    said = _ask(client, at, f"commit?height={height}")
    try:
        hash = said["result"]["signed_header"]["commit"]["block_id"]["hash"]
    except (KeyError, TypeError):
        return ""
    return hash if isinstance(hash, str) and len(hash) == 64 else ""


def _ask(client: httpx.Client, at: str, what: str) -> Any:
    try:
        _, data = call(client, "GET", f"http://{at}/{what}", _MAX_ANSWER)
        return msgspec.json.decode(data)
    except (RemoteError, msgspec.DecodeError, UnicodeDecodeError):
        return None
