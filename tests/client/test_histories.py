"""Every final message of random histories has a dossier that verifies: the verifier against the kernel.

The histories are those that hold the kernel against its oracle; here all their keys are real, and their blocks final.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.world import Log
from tests.kernel import foreign, histories, networks, writers
from tests.kernel.histories import Story
from tests.kernel.networks import Chance, Seeded, some_network
from tests.oracle.beside import Kernel, Sealed, any_protocol
from tests.oracle.oracle import Oracle
from tocsin.client.dossier import build_dossier, encode_dossier
from tocsin.client.policy import policy_of_genesis
from tocsin.client.signing import SeedSigner, cosign_checkpoint, sign_checkpoint
from tocsin.client.verify import verify
from tocsin.kernel import acts as wire
from tocsin.kernel.block import found
from tocsin.kernel.envelope import Envelope, decode, unsigned
from tocsin.kernel.leaves import Final
from tocsin.kernel.statements import signers_of
from tocsin.tlog import Checkpoint, checkpoint, note

HELD: dict[str, SeedSigner] = {}
"""Public key -> its signer, for every key that a history draws."""


def real(word: str) -> str:
    made = SeedSigner(bytes.fromhex(word))
    return HELD.setdefault(made.public_key, made).public_key


class RealForeign(foreign.Foreign):
    """The other network, with keys that sign."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.log_key = real(self.log_key)
        self.members = [
            wire.PinnedMember(one.id, one.entity, real(one.finality), one.custody, one.active) for one in self.members
        ]

    def checkpoint(self, size: int, at: int, lines: int = foreign.FINALITY, root: bytes | None = None) -> str:
        head = Checkpoint(self.origin, size, root or self.root(size))
        signatures = [sign_checkpoint(HELD[self.log_key], head)]
        signatures += [cosign_checkpoint(HELD[one.finality], one.id, head, at // 1000) for one in self.members[:lines]]
        return note.format(checkpoint.format(head), signatures).decode()


@pytest.fixture(autouse=True)
def _real_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    words = networks.hexes

    def seal(
        genesis: str, author: str, acts: list[Any], valid_until: int, key: str, signed: bool = True, proofs: bool = True
    ) -> Sealed:
        draft = unsigned(genesis, author, valid_until, acts)
        envelope = decode(draft.seal(key, HELD[key].sign(draft.signed)))
        assert isinstance(envelope, Envelope)
        return Sealed(envelope, signed, proofs)

    for module in (networks, writers, histories):
        monkeypatch.setattr(module, "hexes", lambda *parts: real(words(*parts)))
    monkeypatch.setattr(histories, "seal", seal)
    monkeypatch.setattr(writers, "Foreign", RealForeign)
    yield
    HELD.clear()


def history(seed: int, steps: int) -> tuple[Log, list[str]]:
    chance = Chance(Seeded(seed))
    genesis = some_network(chance)
    kernel, oracle = Kernel(genesis), Oracle(genesis)
    log = Log(genesis)
    log.append(found(genesis)[1])
    story = Story(chance, oracle)
    for _ in range(steps):
        signing = {one.id: HELD[one.key] for one in signers_of(kernel.state.members)}
        step = story.next()
        oracle.block(step.at, [one.envelope for one in step.sealed], [(one.signed, one.proofs) for one in step.sealed])
        outcome = kernel.step(step)
        log.append(outcome)
        if outcome.changed:
            log.sign(HELD[genesis.log_key], signing, outcome.at // 1000)
    finals = [
        leaf.id
        for leaf in log.decoded[: max(log.notes, default=0)]
        # The histories' proofs of possession are only said to hold.
        if isinstance(leaf, Final) and not isinstance(leaf.terms, wire.AdmitMotion | wire.RekeyMotion)
    ]
    return log, finals


@pytest.mark.parametrize("seed", range(8))
def test_every_record_of_a_history_verifies(seed: int) -> None:
    log, finals = history(seed, 60)
    policy = policy_of_genesis(log.genesis)
    for message in finals:
        with any_protocol():
            report = verify(encode_dossier(build_dossier(log, message)), policy)
        assert report.ok, (seed, message, [line.text for line in report.lines])
