"""Asking outside witnesses to cosign what is final (C2SP tlog-witness, as its client).

A final checkpoint is final without them: they show to who trusts none of the members that the log only grew.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import httpx

from tocsin.client.signing import verify_signature
from tocsin.node.finality.finality import Finality
from tocsin.node.web.remote import RemoteError, call
from tocsin.node.worker import Worker
from tocsin.store.network import NetworkStore
from tocsin.tlog import Cosigner, NoteError, VerifierKey, checkpoint, cosignature, note
from tocsin.tlog.checkpoint import MAX_SIZE, parse_decimal
from tocsin.tlog.note import Signature, encode_base64

_MAX_ANSWER = 64 * 1024
_RETRY_S = 5.0
_LOOK_S = 1.0


class OutsideWitness(NamedTuple):
    """Where a witness is, and its key."""

    url: str
    key: VerifierKey


class _Cosigned(NamedTuple):
    size: int
    line: Signature


class Witnessing:
    """One network's. A thread for each witness; a witness that is away delays nobody."""

    def __init__(
        self, records: NetworkStore, finality: Finality, witnesses: list[OutsideWitness], client: httpx.Client,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._records = records
        self._finality = finality
        self._client = client
        self._say = say
        self._lines: dict[str, _Cosigned] = {}
        self.errors: dict[str, str] = {}
        """Witness -> what was wrong when it was last asked."""
        self._stopping = threading.Event()
        self.workers = [Worker(f"witness {one.key.name}", partial(self._follow, one)) for one in witnesses]

    def start(self) -> None:
        """Begin."""
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        for worker in self.workers:
            worker.join()

    def lines(self, size: int) -> list[Signature]:
        """What the witnesses signed of the head of this size."""
        return [one.line for _, one in sorted(self._lines.items()) if one.size == size]

    def _follow(self, witness: OutsideWitness) -> None:
        known = 0
        while not self._stopping.is_set():
            if self._finality.wait_final(known, _LOOK_S) <= known:
                continue
            try:
                known = self._ask(witness, known)
                self.errors.pop(witness.key.name, None)
            except (RemoteError, ValueError) as error:
                if self.errors.get(witness.key.name) != str(error):
                    self._say(f"witness {witness.key.name}: {error}")
                self.errors[witness.key.name] = str(error)
                self._stopping.wait(_RETRY_S)

    def _ask(self, witness: OutsideWitness, old: int) -> int:
        """Have the newest final checkpoint cosigned; its size. Raises RemoteError, ValueError."""
        found = self._records.checkpoint()
        if found is None:
            return old
        for _ in range(3):
            status, body = self._post(witness, old, found.size, found.note)
            if status == 200:
                self._lines[witness.key.name] = _Cosigned(found.size, _line(witness.key, found.note, body))
                return found.size
            if status != 409:
                raise RemoteError(f"it answers with status {status}: {body[:200].decode(errors='replace').strip()}")
            # It has seen another head of ours last; it says of which size.
            old = parse_decimal(body.decode("ascii").strip(), MAX_SIZE)
            if old > found.size:
                raise RemoteError(
                    f"it has cosigned {old} leaves of this log, which has {found.size} now. Leaves were lost, or "
                    "somebody else signs with the log's key; find out before anything else is signed."
                )
        raise RemoteError("it changes its mind about the size that it cosigned last; is somebody else asking it?")

    def _post(self, witness: OutsideWitness, old: int, size: int, data: bytes) -> tuple[int, bytes]:
        proof = self._records.consistency(old, size) if 0 < old < size else ()
        hashes = "".join(f"{encode_base64(one)}\n" for one in proof)
        body = f"old {old}\n{hashes}\n".encode() + data
        return call(self._client, "POST", f"{witness.url}/add-checkpoint", _MAX_ANSWER, body=body)


def _line(key: VerifierKey, data: bytes, body: bytes) -> Signature:
    """The witness's line, which must verify; others it may give are not ours to judge."""
    text = note.parse(data).text
    checkpoint.parse(text)
    offered = note.parse(text.encode() + b"\n" + body)
    lines = cosignature.final_lines(offered, (Cosigner(key.name, key.key),))
    if not lines or not all(verify_signature(*line[:3]) for line in lines):
        raise NoteError("its answer holds no signature of the key that the configuration names")
    return next(one for one in offered.signatures if (one.name, one.key_id) == (key.name, key.key_id))
