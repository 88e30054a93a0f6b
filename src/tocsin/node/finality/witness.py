"""This node as a witness of other logs (C2SP tlog-witness), and the keys of the logs that it knows.

A witness says one thing: that of each log it has seen only heads that extend each other. It knows nothing of the
rules of a network.
"""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tocsin.client.signing import Signer, verify_signature
from tocsin.node.web.remote import log_id
from tocsin.store.errors import StoreError
from tocsin.store.watermark import SignedHead, Watermark
from tocsin.tlog import Checkpoint, Cosigner, NoteError, VerifierKey, checkpoint, cosignature, merkle, note
from tocsin.tlog.checkpoint import MAX_SIZE, parse_decimal

MAX_REQUEST = 64 * 1024
MAX_HASHES = 63


class Answer(NamedTuple):
    """Status and body for the log."""

    status: int
    body: bytes


class _Request(NamedTuple):
    old: int
    proof: list[bytes]
    note: note.Note
    head: Checkpoint


class Witness:
    """Cosigns under `name`; what it signed is in `watermark`, on disk before it answers."""

    def __init__(
        self, name: str, signer: Signer, logs: Mapping[str, VerifierKey], watermark: Watermark, now_s: Callable[[], int]
    ) -> None:
        """`logs`: origin -> the log's own key."""
        self._cosigner = Cosigner(name, bytes.fromhex(signer.public_key))
        self._signer = signer
        self._logs = logs
        self._watermark = watermark
        self._now_s = now_s
        self._lock = threading.Lock()
        self._latest: dict[str, bytes] = {}

    @property
    def vkey(self) -> VerifierKey:
        """What it signs under, for those who shall believe it."""
        return self._cosigner.vkey

    def latest(self, log: str) -> bytes | None:
        """The head cosigned last of a log, by the digest of its origin; None if none was since the start."""
        return self._latest.get(log)

    def add_checkpoint(self, data: bytes) -> Answer:
        """Answer `add-checkpoint`."""
        try:
            request = _read(data)
        except ValueError as error:
            return Answer(400, f"{error}\n".encode())
        key = self._logs.get(request.head.origin)
        if key is None:
            return Answer(404, b"this witness does not know the log\n")
        try:
            own = note.signature_checks(request.note, key)
        except NoteError as error:
            return Answer(403, f"{error}\n".encode())
        if not own or not all(verify_signature(*check) for check in own):
            return Answer(403, b"the log's own signature is missing or does not verify\n")
        with self._lock:
            return self._extend(request)

    def _extend(self, request: _Request) -> Answer:
        head = request.head
        last = self._watermark.head(head.origin) or SignedHead(head.origin, 0, merkle.EMPTY_ROOT)
        if request.old != last.size:
            return Answer(409, f"{last.size}\n".encode())
        if not _follows(last, request):
            return Answer(422, b"the proof does not lead from the head that was cosigned last to this one\n")
        if head.size:
            try:
                self._watermark.admit([SignedHead(*head)])
            except StoreError as error:
                return Answer(500, f"{error}\n".encode())
        now = self._now_s()
        signature = self._signer.sign(cosignature.message(request.note.text, now))
        line = cosignature.sign_line(self._cosigner, now, signature)
        own = tuple(one for one in request.note.signatures if one.name == head.origin)
        self._latest[log_id(head.origin)] = note.format(request.note.text, [*own, line])
        return Answer(200, note.format_line(line).encode())


def _follows(last: SignedHead, request: _Request) -> bool:
    head = request.head
    if last.size == 0:
        return not request.proof and (head.size > 0 or head.root == merkle.EMPTY_ROOT)
    return merkle.verify_consistency(last.size, head.size, last.root, head.root, request.proof)


def _read(data: bytes) -> _Request:
    """Raises ValueError for what is no request."""
    top, separator, rest = data.partition(b"\n\n")
    if not separator:
        raise ValueError("there is no empty line before the checkpoint")
    first, *hashes = top.decode("ascii").split("\n")
    if not first.startswith("old "):
        raise ValueError("the first line is not: old SIZE")
    old = parse_decimal(first.removeprefix("old "), MAX_SIZE)
    if len(hashes) > MAX_HASHES:
        raise ValueError(f"a proof has at most {MAX_HASHES} hashes")
    proof = [note.decode_base64(one) for one in hashes]
    if any(len(one) != merkle.HASH_SIZE for one in proof):
        raise ValueError("a hash has 32 bytes")
    parsed = note.parse(rest)
    # A wrong root of an empty log is no proof rather than no request: it is judged with the proof.
    head = checkpoint.parse(parsed.text, extensions=True, any_root=True)
    if old > head.size:
        raise ValueError("old is beyond the checkpoint's size")
    return _Request(old, proof, parsed, head)
