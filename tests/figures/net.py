"""One network on the kernel alone, spoken to in the words of the paper's figures."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tocsin import charters
from tocsin.kernel.acts import Act, Judge, Keys, Subject, Submit, Terms
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads
from tocsin.kernel.digest import digest, message_id
from tocsin.kernel.envelope import Envelope, decode, unsigned
from tocsin.kernel.genesis import Founder, Genesis, sorted_founders
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.words import Role

SUBJECT = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, 0, 2, "actual")
HOUR = 3_600_000


def keys(name: str) -> Keys:
    root, act, finality = (digest(b"test-key", f"{name} {use}".encode()) for use in ("root", "act", "finality"))
    return Keys(root, act, finality, None, "self")


class Net:
    """Signatures are taken as good, but for envelopes in `forged`."""

    def __init__(self, charter: str, members: dict[str, list[Role]]) -> None:
        founders = [Founder(name, f"lei:{name}", sorted(roles), keys(name)) for name, roles in members.items()]
        genesis = Genesis(1, "x.example/n", 0, charters.load(charter), digest(b"k", b"log"), sorted_founders(founders))
        self.state, first = found(genesis)
        self.at = 0
        self.rows: dict[str, bytes | None] = {}
        self.leaves: list[dict[str, Any]] = [msgspec.json.decode(leaf) for leaf in first.leaves]
        self.last: list[dict[str, Any]] = []

    def envelope(self, author: str, acts: Sequence[Act]) -> Envelope:
        prepared = unsigned(self.state.meta.genesis, author, self.at + 600_000, acts)
        key = self.state.members[author].keys.act if author in self.state.members else "0" * 64
        envelope = decode(prepared.seal(key, bytes(64)))
        assert isinstance(envelope, Envelope)
        return envelope

    def block(self, *given: tuple[str, Act], after: int = 1000) -> list[int]:
        """One act an envelope, `after` ms later; the reason of each."""
        self.at += after
        envelopes = [self.envelope(author, [act]) for author, act in given]
        outcome = self.apply(envelopes)
        dropped = dict(outcome.dropped)
        taken = iter(outcome.receipts)
        return [int(dropped[place]) if place in dropped else next(taken)[0] for place in range(len(envelopes))]

    def apply(self, envelopes: list[Envelope]) -> Outcome:
        rows: dict[str, bytes | None] = {}
        while missing := reads(self.state, self.at, envelopes, rows):
            rows.update((key, self.rows.get(key)) for key in missing)
        verdicts = [[True] * len(one) for one in checks(self.state, envelopes)]
        outcome = apply_block(self.state, Block(self.at, envelopes), verdicts, rows)
        self.state.advance(outcome)
        self.rows.update((key, value) for key, value in outcome.writes if key.startswith(ARCHIVE))
        self.last = [msgspec.json.decode(leaf) for leaf in outcome.leaves]
        self.leaves += self.last
        return outcome

    def wait(self) -> list[str]:
        """Go to the next deadline; the kinds of its leaves."""
        due = self.state.next_deadline()
        assert due is not None
        self.at = due
        self.apply([])
        return self.kinds

    @property
    def kinds(self) -> list[str]:
        """Leaves of the last block, without its `block` leaf."""
        return [leaf["leaf"] for leaf in self.last[:-1]]

    def leaf(self, kind: str) -> dict[str, Any]:
        """The last leaf of a kind."""
        return next(leaf for leaf in reversed(self.leaves) if leaf["leaf"] == kind)

    def submit(
        self, author: str, kind: str, *, incident: str | None = None, terms: Terms | None = None, expect: int = 0
    ) -> str:
        """Submit in a block of its own; the message's id."""
        subject = SUBJECT if kind.startswith("report.") else None
        self.at += 1000
        envelope = self.envelope(author, [Submit(kind, incident, subject, terms, None)])
        outcome = self.apply([envelope])
        assert outcome.receipts == [[expect]], outcome.receipts
        return message_id(envelope.digest, 0)

    def endorse(self, message: str, *members: str) -> list[int]:
        """All in one block."""
        return self.block(*((one, Judge(message, "endorse", None, "officer", None, None)) for one in members))
