"""Which block of CometBFT's chain a new node may trust, to begin with a snapshot instead of at the first block.

CometBFT's light client needs a header to start from. One more member than may lie must name the same: then one of
them is honest.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from tocsin.engine.cometbft.home import Sync
from tocsin.node.remote import RemoteError, call

_MAX_ANSWER = 4 * 1024 * 1024
_BELOW = 2
"""So far below the lowest head, everybody has the block."""


class NoSync(Exception):
    """No block can be trusted now; the sentence says why. The chain can still be replayed."""


def trusted(client: httpx.Client, members: Mapping[str, str], liars: int) -> Sync:
    """A block that `liars` + 1 members name alike, and at least two. `members`: id -> host:port of CometBFT's RPC.

    Raises NoSync.
    """
    least = max(2, liars + 1)
    heights = {id: height for id, at in members.items() if (height := _height(client, at)) > _BELOW}
    if len(heights) < least:
        raise NoSync(f"{len(heights)} of {len(members)} members' CometBFT could be asked, and {least} are needed")
    height = min(heights.values()) - _BELOW
    hashes = {id: _hash(client, members[id], height) for id in heights}
    (hash, votes), *_ = Counter(filter(None, hashes.values())).most_common(1) or [("", 0)]
    if votes < least:
        raise NoSync(f"the members do not agree on block {height}: {hashes}")
    servers = tuple(f"http://{members[id]}" for id, one in sorted(hashes.items()) if one == hash)
    return Sync(servers, height, hash)


def _height(client: httpx.Client, at: str) -> int:
    said = _ask(client, at, "status")
    try:
        return int(said["result"]["sync_info"]["latest_block_height"])
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
