"""The configuration read again while the node runs, so that members come and go without a start of the whole node."""

import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from tocsin.node.home import config as configs
from tocsin.node.home.config import Config
from tocsin.node.home.seats import check_seats
from tocsin.node.keys import Keystore
from tocsin.node.station import Station
from tocsin.node.worker import why

_LOOK_S = 0.5


class Changes:
    """Follows one file. A network whose part of it changed starts again by it; what else changed waits for the next
    start of the node, and what cannot be used is not."""

    def __init__(
        self, config: Config, path: Path, keystore: Keystore, stations: Mapping[str, Station],
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`config`: as the node runs by it now."""
        self._config = config
        self._path = path
        self._keystore = keystore
        self._stations = stations
        self._say = say
        self._seen = b""
        self._seen = self._read()
        self._taken = digest_of(self._seen)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="configuration", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    @property
    def digest(self) -> str | None:
        """Of the file by which all networks run; None while one has yet to start again by it."""
        return None if any(one.changed for one in self._stations.values()) else self._taken

    def _follow(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            data = self._read()
            if data == self._seen:
                continue
            self._seen = data
            try:
                config = configs.parse(data, self._path)
                check_seats(config, self._stations, self._keystore, self._path)
                self._take(config)
                self._taken = digest_of(data)
            except Exception as error:
                # Whatever it is: a thread that ended here would leave the node deaf to its file.
                self._say(f"The configuration was changed and cannot be used; the node goes on as it is. {why(error)}")

    def _take(self, config: Config) -> None:
        before = {use.origin: use for use in self._config.networks}
        known = {use.origin: use for use in config.networks}
        for origin, station in self._stations.items():
            if origin in known and known[origin] != before.get(origin):
                station.change(known[origin])
        if replace(config, networks=[]) != replace(self._config, networks=[]) or set(known) != set(self._stations):
            self._say("The configuration was changed; what is not of a network that runs counts from the next start.")
        self._config = config

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(configs.MAX_CONFIG)
        except OSError:
            return self._seen


def digest_of(data: bytes) -> str:
    """How a node says which file it runs by."""
    return sha256(data).hexdigest()
