"""CometBFT's JSON-RPC, as far as we call it: one connection, kept open."""

import http.client
import json
import socket
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_WAIT_S = 30.0


class RpcUnreachable(Exception):
    """CometBFT does not answer: it is starting, or has stopped."""


class RpcError(Exception):
    """CometBFT refused a call; the text is its own."""


class Rpc:
    """For one thread, at the Unix socket `address`."""

    def __init__(self, address: Path, wait_s: float = _WAIT_S) -> None:
        """`wait_s`: how long for an answer."""
        self._address = address
        self._wait_s = wait_s
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, method: str, **params: Any) -> Any:
        """One call's result; raises RpcError or RpcUnreachable."""
        answer = self._post({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        if "error" in answer:
            raise RpcError(_text(answer["error"]))
        return answer["result"]

    def offer(self, txs: Sequence[bytes]) -> list[str]:
        """Put transactions into the pool without waiting for their check; for each, why not, or nothing.

        Raises RpcUnreachable.
        """
        answers = self._post([
            {"jsonrpc": "2.0", "id": number, "method": "broadcast_tx_async", "params": {"tx": b64encode(tx).decode()}}
            for number, tx in enumerate(txs)
        ])  # fmt: skip
        by_number = {one["id"]: one for one in (answers if isinstance(answers, list) else [answers])}
        return [_text(by_number[number]["error"]) if "error" in by_number[number] else "" for number in range(len(txs))]

    def _post(self, body: Any) -> Any:
        data = json.dumps(body).encode()
        # A connection that was idle may have been closed by the other side: that shows at its next use only.
        for again in (self._connection is not None, False):
            try:
                if self._connection is None:
                    self._connection = _connect(self._address, self._wait_s)
                self._connection.request("POST", "/", data, {"Content-Type": "application/json"})
                return json.loads(self._connection.getresponse().read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                if not again:
                    raise RpcUnreachable(f"CometBFT does not answer at {self._address}: {error}.") from error
        raise AssertionError("unreachable")


def _text(error: Any) -> str:
    return f"{error.get('message', '')}: {error.get('data', '')}"


def _connect(address: Path, wait_s: float) -> http.client.HTTPConnection:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(wait_s)
        link.connect(str(address))
    except OSError:
        link.close()
        raise
    connection = http.client.HTTPConnection("localhost", timeout=wait_s)
    connection.sock = link
    return connection
