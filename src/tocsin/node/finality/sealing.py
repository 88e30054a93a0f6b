"""Handing over (spec 11.4): once a change of the signers is final, a member proves it by `seal`.

Any member may; the others wait a little, each longer than the one before it, so that one act is enough.
"""

import threading
from collections.abc import Callable

from tocsin.client.signing import VALID_FOR_MS, Signer, sign_acts
from tocsin.engine.port import Clock, Engine, EngineBusy, EngineHalted
from tocsin.kernel.acts import Seal
from tocsin.node.finality.finality import Finality
from tocsin.node.worker import Worker
from tocsin.store.network import NetworkStore

_LOOK_S = 0.5
_TURN_S = 3.0


class Sealing:
    """One network's. A thread of its own; `stop` ends it."""

    def __init__(
        self, records: NetworkStore, engine: Engine, finality: Finality, genesis: str, member: str,
        signer: Signer, clock: Clock, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._records = records
        self._engine = engine
        self._finality = finality
        self._genesis = genesis
        self._member = member
        self._signer = signer
        self._clock = clock
        self._say = say
        self._stopping = threading.Event()
        self.worker = Worker("sealing", self._run)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self.worker.join()

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            for key, _ in self._records.rows("handover"):
                index = int(key.partition(":")[2])
                final = self._records.checkpoint(index + 2)
                if final is not None and not self._stopping.wait(self._turn(index)):
                    self._seal(index, final.note)

    def _turn(self, index: int) -> float:
        """How long to leave it to others."""
        ids = [one.id for one in self._finality.epochs.signers(index + 3)]
        return _TURN_S * (ids.index(self._member) if self._member in ids else len(ids))

    def _seal(self, index: int, data: bytes) -> None:
        if self._records.row(f"handover:{index}") is None:
            return
        genesis = self._genesis
        signed = sign_acts(self._signer, genesis, self._member, self._clock() + VALID_FOR_MS, [Seal(data.decode())])
        try:
            self._engine.submit(signed)
        except (EngineBusy, EngineHalted) as error:
            self._say(f"the change of signers at leaf {index} cannot be sealed now: {error}")
        self._stopping.wait(_TURN_S)
