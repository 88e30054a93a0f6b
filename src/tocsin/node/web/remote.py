"""Another member's node, as it is seen over HTTP. Whatever it says is bounded in size and believed by nobody here."""

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import httpx
import msgspec
from msgspec import Struct

from tocsin.kernel.acts import Keys
from tocsin.kernel.envelope import Refusal
from tocsin.kernel.evidence import caught_in
from tocsin.kernel.reasons import REGISTRY, Reason
from tocsin.kernel.words import Count, Digest, Key, Millis
from tocsin.store.records import StoredBlock
from tocsin.tlog import HashReader, checkpoint, note, tiles
from tocsin.tlog.merkle import consistency_proof, inclusion_proof
from tocsin.tlog.tiles import TILE_WIDTH

TIMEOUT_S = 10.0
MAX_NOTE = 256 * 1024
MAX_BUNDLE = TILE_WIDTH * (tiles.MAX_ENTRY_SIZE + 2)
MAX_BLOCKS = 32 * 1024 * 1024
MAX_PAPER = 512 * 1024
MAX_ANSWER = 1024 * 1024
_CONNECTIONS = 64

_T = TypeVar("_T")


class RemoteError(Exception):
    """A node could not be asked, or gave no usable answer; the sentence names it, and can be shown."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


class Standing(Struct, frozen=True):
    """What a node says of itself in one network, as far as others ask (`tocsin.node.status`)."""

    runs: bool
    error: str = ""
    trouble: str = ""
    genesis: str = ""
    height: Count = 0
    size: Count = 0
    final: Count = 0
    roster: dict[str, str] = {}
    keys: dict[str, Keys] = {}
    signers: list[str] = []
    peers: list[str] = []
    stale: list[str] = []
    lacks: list[str] = []
    connected: list[str] | None = []
    idle_s: float | None = None


class BlockFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A block as nodes hand it on: all that is needed to make it again, and what must come out."""

    height: Count
    at: Millis
    size: Count
    root: Digest
    envelopes: list[str]
    caught: list[Key] = []
    """Keys of validators that voted twice, as the engine told (spec 8.6)."""

    @classmethod
    def of(cls, block: StoredBlock) -> "BlockFile":
        """A block of our own journal."""
        envelopes = [data.decode() for data in block.envelopes]
        return cls(block.height, block.at, block.size, block.root.hex(), envelopes, caught_in(block.leaves))


class SentPlace(NamedTuple):
    """A leaf that goes out: its place in the log and its number at its destination."""

    place: int
    number: int


class Taken(NamedTuple):
    """The receipt of an envelope, as a node tells it."""

    digest: str
    height: int
    codes: list[int]


class RemoteHead(NamedTuple):
    """A checkpoint as it was served."""

    note: str
    size: int
    root: bytes


for _kind in (Standing, list[BlockFile], list[SentPlace], Taken):
    msgspec.json.Decoder(_kind)  # before threads do: msgspec crashes where two are the first to read a type


def caller() -> httpx.Client:
    """What a process calls other nodes with; any thread may use it."""
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    # Compression would let a small answer become a large one; a proxy of the environment is not among members. For
    # https whom this machine trusts counts, so that agencies can have a certificate authority of their own.
    headers = {"accept-encoding": "identity", "user-agent": "tocsin"}
    trust = ssl.create_default_context()
    return httpx.Client(timeout=TIMEOUT_S, limits=limits, headers=headers, trust_env=False, verify=trust)


class Remote:
    """One network at one node."""

    def __init__(self, client: httpx.Client, url: str, origin: str) -> None:
        self.url = url
        self.origin = origin
        self._client = client

    def checkpoint(self) -> bytes | None:
        """The newest final checkpoint; None if it has none yet."""
        return self._get("checkpoint", MAX_NOTE)

    def final(self, size: int) -> bytes | None:
        """The kept final checkpoint of a size."""
        return self._get(f"final/{size}", MAX_NOTE)

    def cosigned(self, size: int, wait_s: float = 0) -> bytes | None:
        """What this node itself signed of the head of a size, waiting for it for a while."""
        return self._get(f"cosigned/{size}", MAX_NOTE, wait_s, {"wait": f"{wait_s:g}"})

    def signed(self) -> bytes | None:
        """The newest head that this node itself signed."""
        return self._get("signed", MAX_NOTE)

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Hashes; raises RemoteError if there are none."""
        return self._must(tiles.tile_path(level, index, width), TILE_WIDTH * 32)

    def bundle(self, index: int, width: int) -> bytes:
        """Entries; raises RemoteError if there are none."""
        return self._must(tiles.bundle_path(index, width), MAX_BUNDLE)

    def genesis(self) -> tuple[bytes, bytes]:
        """Genesis and founding files."""
        return self._must("genesis", MAX_PAPER), self._must("founding", MAX_PAPER)

    def blocks(self, after: int, wait_s: float = 0) -> list[BlockFile]:
        """Blocks of a height above `after`, in order, as many as go into one answer; waits for the first."""
        return self._read(
            self._must("blocks", MAX_BLOCKS, wait_s, {"after": str(after), "wait": f"{wait_s:g}"}), list[BlockFile]
        )

    def sent(self, destination: str, since: int) -> list[SentPlace]:
        """What it says goes to a destination from number `since` on."""
        return self._read(
            self._must("sent", MAX_ANSWER, 0, {"to": destination, "since": str(since)}), list[SentPlace]
        )

    def steps(self, after: int) -> list[int]:
        """Indexes of the roster leaves whose block ends above size `after`."""
        return self._read(self._must("steps", MAX_ANSWER, 0, {"after": str(after)}), list[int])

    def status(self) -> Standing:
        """What it says of itself."""
        return self._read(self._must("status", MAX_ANSWER), Standing)

    def submit(self, envelope: bytes, wait_s: float = 0) -> str | Taken | Refusal:
        """Hand an envelope in: its digest, or its receipt if it came in time, or why no block may hold it."""
        _, data = self._call("POST", "envelopes", MAX_ANSWER, wait_s, {"wait": f"{wait_s:g}"}, envelope)
        answer = self._told(self._read(data, dict))
        if isinstance(answer, RemoteError):
            raise answer
        return answer

    def submit_batch(self, envelopes: Sequence[bytes]) -> list[str | Taken | Refusal | RemoteError]:
        """Hand several in, as many as a node takes at once; what it says of each."""
        _, data = self._call("POST", "envelopes/batch", MAX_ANSWER, 0, None, b"\n".join(envelopes))
        answers = self._read(data, list[dict[str, Any]])
        if len(answers) != len(envelopes):
            raise RemoteError(f"{self.url} was given {len(envelopes)} envelopes and speaks of {len(answers)}.")
        return [self._told(answer) for answer in answers]

    def _told(self, answer: dict[str, Any]) -> str | Taken | Refusal | RemoteError:
        try:
            if "receipt" in answer:
                return msgspec.convert(answer["receipt"], Taken)
            if "digest" in answer:
                return str(answer["digest"])
            if "reason" in answer:
                return Refusal(Reason(answer["reason"]), str(answer.get("detail", "")))
            return RemoteError(f"{self.url} does not take the envelope now: {str(answer['error'])[:300]}")
        except (KeyError, TypeError, ValueError) as error:
            raise RemoteError(f"{self.url} gave an answer that cannot be read ({error}).") from None

    def _must(self, path: str, most: int, wait_s: float = 0, query: Mapping[str, str] | None = None) -> bytes:
        data = self._get(path, most, wait_s, query)
        if data is None:
            raise RemoteError(f"{self.url} has no {path} of {self.origin}.")
        return data

    def _get(self, path: str, most: int, wait_s: float = 0, query: Mapping[str, str] | None = None) -> bytes | None:
        status, data = self._call("GET", path, most, wait_s, query)
        if status == 404:
            return None
        if status != 200:
            raise RemoteError(f"{self.url} answers {path} of {self.origin} with status {status}.")
        return data

    def _call(
        self, method: str, path: str, most: int, wait_s: float, query: Mapping[str, str] | None, body: bytes = b""
    ) -> tuple[int, bytes]:
        return call(self._client, method, f"{self.url}/{self.origin}/{path}", most, wait_s, query, body)

    def _read(self, data: bytes, type: type[_T]) -> _T:
        try:
            return msgspec.json.decode(data, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteError(f"{self.url} gave an answer that cannot be read ({error}).") from None


def call(
    client: httpx.Client,
    method: str,
    url: str,
    most: int,
    wait_s: float = 0,
    query: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, bytes]:
    """Status and content of an answer of at most `most` bytes, wholly here in `wait_s` beyond the usual time.

    Raises RemoteError.
    """
    until = time.monotonic() + TIMEOUT_S + wait_s
    parts: list[bytes] = []
    try:
        with client.stream(method, url, params=query, content=body, timeout=TIMEOUT_S + wait_s) as answer:
            for part in answer.iter_raw():
                parts.append(part)
                most -= len(part)
                if most < 0:
                    raise RemoteError(f"{url} gave more than is allowed; nothing of it was read.")
                if time.monotonic() > until:
                    raise RemoteError(f"{url} trickles; it was given up.")
            return answer.status_code, b"".join(parts)
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:  # the last: this node is ending
        raise RemoteError(f"{url} cannot be reached ({error or type(error).__name__}).") from None


class RemoteLog:
    """A network's log as one node serves it: what a relay reads (`tocsin.node.relays.relay.Source`).

    Proofs are made here, from tiles; that they lead to a root which a quorum signed, the reader checks.
    """

    def __init__(self, remote: Remote, pinned: int) -> None:
        """`pinned`: the size up to which the reader knows the log."""
        self.origin = remote.origin
        self.store = self
        self._remote = remote
        self._pinned = pinned
        self._bundle = lru_cache(16)(self._read_bundle)
        self._tile = lru_cache(256)(remote.tile)
        self._head: RemoteHead | None = None

    @property
    def steps(self) -> list[tuple[int, RemoteHead]]:
        """The next change of the roster above what is pinned, with the checkpoint that ends its block."""
        for index in self._remote.steps(self._pinned)[:1]:
            data = self._remote.final(index + 2)
            if data is None:
                raise RemoteError(f"{self._remote.url} has no final checkpoint of size {index + 2} of {self.origin}.")
            return [(index, self._parse(data))]
        return []

    def head(self) -> RemoteHead:
        """Its newest final checkpoint; the same one for the life of this object."""
        if self._head is None:
            data = self._remote.checkpoint()
            if data is None:
                raise RemoteError(f"{self._remote.url} has no final checkpoint of {self.origin} yet.")
            self._head = self._parse(data)
        return self._head

    def waiting_for(self, destination: str, since: int) -> list[SentPlace]:
        """What it says goes to a destination."""
        return self._remote.sent(destination, since)

    def leaf(self, index: int) -> bytes:
        """A leaf, out of its bundle."""
        number, place = divmod(index, TILE_WIDTH)
        width = min(TILE_WIDTH, self.head().size - number * TILE_WIDTH)
        if place >= width:
            raise RemoteError(f"{self._remote.url} names leaf {index} of {self.origin}, which its head does not have.")
        return self._bundle(number, width)[place]

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Proof of a leaf in the log of `size` leaves."""
        return self._proof(lambda: inclusion_proof(index, size, HashReader(self._tile, size)))

    def consistency(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """Proof that the log of `size1` leaves is a prefix of that of `size2`."""
        return self._proof(lambda: consistency_proof(size1, size2, HashReader(self._tile, size2)))

    def _proof(self, make: Any) -> tuple[bytes, ...]:
        try:
            proof: tuple[bytes, ...] = make()
        except ValueError as error:
            raise self._liar("tiles that make no proof", error) from None
        return proof

    def _read_bundle(self, index: int, width: int) -> tuple[bytes, ...]:
        try:
            return tiles.decode_bundle(self._remote.bundle(index, width), width)
        except ValueError as error:
            raise self._liar("a bundle that is none", error) from None

    def _parse(self, data: bytes) -> RemoteHead:
        try:
            head = checkpoint.parse(note.parse(data).text)
            text = data.decode()
        except ValueError as error:
            raise self._liar("a checkpoint that is none", error) from None
        return RemoteHead(text, head.size, head.root)

    def _liar(self, what: str, error: Exception) -> RemoteError:
        return RemoteError(f"{self._remote.url} serves of {self.origin} {what}: {error}.")


def height_of(remotes: Iterable[Remote]) -> int:
    """Of the last block that changed something: the highest that more of these members' nodes have than may lie."""
    heights = []
    asked = list(remotes)
    for one in asked:
        try:
            heights.append(one.status().height)
        except RemoteError:
            heights.append(0)
    liars = len(asked) // 3  # floor((n - 1) / 3) of n with this node
    return sorted(heights, reverse=True)[liars] if heights else 0


def printable(text: str, most: int = 500) -> str:
    """What somebody else wrote, fit for a terminal and a log line: shortened, and without control characters."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:most])


def log_id(origin: str) -> str:
    """A log's name in the paths of a witness (C2SP tlog-witness)."""
    return sha256(origin.encode()).hexdigest()


def describe(refusal: Refusal) -> str:
    """A refusal as a sentence."""
    said = REGISTRY[refusal.reason].sentence
    return f"{said} ({refusal.detail})" if refusal.detail else said
