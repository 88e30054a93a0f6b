"""A node: one agency in one or many networks, behind one address."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tocsin.engine.port import Clock
from tocsin.engine.signatures import Verifier
from tocsin.node.finality.witness import Witness
from tocsin.node.home.changes import Changes
from tocsin.node.home.config import Config
from tocsin.node.home.places import signed_heads
from tocsin.node.home.seats import check_seats
from tocsin.node.keys import Keystore
from tocsin.node.station import Shared, Station
from tocsin.node.web.http import application
from tocsin.node.web.remote import caller
from tocsin.node.web.server import Limits, Server
from tocsin.store.watermark import Watermark
from tocsin.tlog.note import parse_vkey


class Agency:
    """Starts with `start`; `stop` ends it cleanly. A network that fails takes no other with it."""

    def __init__(
        self, config: Config, keystore: Keystore, clock: Clock, say: Callable[[str, str], None],
        path: Path | None = None,
    ) -> None:  # fmt: skip
        """`say`: (network, sentence) for the log. `path`: of the configuration's file, which is read again when it
        changes. Raises ConfigError, KeystoreError, StoreError.
        """
        check_seats(config, [use.origin for use in config.networks], keystore, path)
        self._client = caller()
        self._verifier = Verifier()
        shared = Shared(config, keystore, self._client, clock, self._verifier, say)
        self.stations = {use.origin: Station(use, shared) for use in config.networks}
        self._heads: Watermark | None = None
        self.witness = self._witness(config, keystore, clock)
        app = application(list(self.stations.values()), self.witness, self.status)
        limits = Limits(config.connections, config.connections_per_address)
        self._server = Server(app, config.listen, limits, partial(say, ""))
        self._changes = None if path is None else Changes(config, path, keystore, self.stations, partial(say, ""))
        self.address = config.listen

    def start(self) -> str:
        """Listen, and start all networks; the address. Raises OSError where nobody can listen."""
        self.address = self._server.start()
        for station in self.stations.values():
            station.start()
        if self._changes is not None:
            self._changes.start()
        return self.address

    def stop(self) -> None:
        """End; all that is final is on disk."""
        if self._changes is not None:
            self._changes.stop()
        stopping = [threading.Thread(target=station.stop) for station in self.stations.values()]
        stopping.append(threading.Thread(target=self._server.stop))
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._verifier.close()
        self._client.close()
        if self._heads is not None:
            self._heads.close()

    def status(self) -> dict[str, Any]:
        """Every network's, by which configuration they run, and whom to believe as a witness."""
        return {
            "address": self.address,
            "config": None if self._changes is None else self._changes.digest,
            "witness": None if self.witness is None else str(self.witness.vkey),
            "networks": [station.status() for station in self.stations.values()],
        }

    def _witness(self, config: Config, keystore: Keystore, clock: Clock) -> Witness | None:
        duty = config.witness
        if duty is None:
            return None
        path = signed_heads(config.signed_heads, duty.name)
        # Made with the key: a witness that has lost what it signed needs a new name and key.
        self._heads = Watermark.open(path)
        signer = keystore.signer(duty.name, "", "finality")
        logs = {key.name: key for key in map(parse_vkey, duty.logs)}
        return Witness(duty.name, signer, logs, self._heads, lambda: clock() // 1000)
