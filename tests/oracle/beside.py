"""The kernel beside the oracle: one history through both, and every difference by name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from tests.oracle.book import Book
from tests.oracle.oracle import Oracle, OracleOutcome
from tocsin.kernel import block as kernel
from tocsin.kernel import upgrade
from tocsin.kernel.admission import refused
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.state import State


class Sealed(NamedTuple):
    """An envelope, and what the node would say of its signature and of the proofs in its acts."""

    envelope: Envelope
    signed: bool = True
    proofs: bool = True


class Step(NamedTuple):
    at: int
    sealed: Sequence[Sealed]


@contextmanager
def any_protocol() -> Iterator[None]:
    """Later releases, whose rules are these: a history goes on after an upgrade."""
    known = upgrade.PROTOCOLS
    upgrade.PROTOCOLS = tuple(range(1001))
    try:
        yield
    finally:
        upgrade.PROTOCOLS = known


class Kernel:
    """The kernel with the rows a store would keep for it."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.state, first = kernel.found(genesis)
        self.archive: dict[str, bytes] = {}
        self.leaves: list[bytes] = list(first.leaves)

    def apply(self, step: Step) -> kernel.Outcome:
        """The outcome of a step; the state stays as it is."""
        envelopes = [one.envelope for one in step.sealed]
        shape = kernel.checks(self.state, envelopes)
        verdicts = [
            [one.signed, *[one.proofs] * (len(checks) - 1)] for one, checks in zip(step.sealed, shape, strict=True)
        ]
        rows: dict[str, bytes | None] = {}
        while wanted := kernel.reads(self.state, step.at, envelopes, rows):
            rows.update((key, self.archive.get(key)) for key in wanted)
        with any_protocol():
            outcome = kernel.apply_block(self.state, kernel.Block(step.at, envelopes), verdicts, rows)
            assert refused(self.state, step.at, envelopes, verdicts) == outcome.dropped
        return outcome

    def advance(self, outcome: kernel.Outcome) -> None:
        for key, value in outcome.writes:
            if not key.startswith(ARCHIVE):
                continue
            if value is None:
                self.archive.pop(key, None)
            else:
                self.archive[key] = value
        self.leaves.extend(outcome.leaves)
        self.state.advance(outcome)

    def step(self, step: Step) -> kernel.Outcome:
        outcome = self.apply(step)
        self.advance(outcome)
        return outcome

    def reload(self) -> None:
        """Continue from a snapshot's rows."""
        self.state = State.from_rows(self.state.rows())


class Difference(AssertionError):
    """Kernel and oracle disagree."""


class Pair:
    """One history through kernel and oracle, compared after every block."""

    def __init__(self, genesis: Genesis) -> None:
        self.kernel = Kernel(genesis)
        self.oracle = Oracle(genesis)
        self.steps: list[Step] = []

    def step(self, step: Step) -> tuple[kernel.Outcome, OracleOutcome]:
        self.steps.append(step)
        expected = self.oracle.block(
            step.at, [one.envelope for one in step.sealed], [(one.signed, one.proofs) for one in step.sealed]
        )
        outcome = self.kernel.step(step)
        found = differences(outcome, expected) + balance_differences(self.kernel.state, self.oracle)
        if found:
            raise Difference(f"block {len(self.steps)} at {step.at}: " + "\n".join(found))
        return outcome, expected


def differences(outcome: kernel.Outcome, expected: OracleOutcome) -> list[str]:
    """Receipts, dropped envelopes and leaves that do not agree."""
    found: list[str] = []
    dropped = dict(outcome.dropped)
    wanted = dict(expected.dropped)
    if dropped.keys() != wanted.keys():
        found.append(f"dropped: kernel {dropped}, oracle {wanted}")
    for position in dropped:
        if dropped[position] not in wanted.get(position, ()):
            found.append(f"dropped {position}: kernel {dropped[position]!r}, oracle {wanted.get(position)}")
    if [len(one) for one in outcome.receipts] != [len(one) for one in expected.receipts]:
        return [*found, "receipts of different shape"]
    for position, (codes, reasons) in enumerate(zip(outcome.receipts, expected.receipts, strict=True)):
        for index, (code, allowed) in enumerate(zip(codes, reasons, strict=True)):
            if code not in (allowed or [Reason.ACCEPTED]):
                act = outcome.consumed[position].acts[index]
                found.append(f"receipt {position}.{index}: kernel {Reason(code)!r}, oracle {allowed} for {act}")
    if outcome.changed != expected.changed:
        found.append(f"changed: kernel {outcome.changed}, oracle {expected.changed}")
    leaves = [msgspec.json.decode(leaf) for leaf in outcome.leaves]
    found += leaf_differences(leaves, expected.leaves)
    return found


def leaf_differences(leaves: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    names, wanted = [leaf["leaf"] for leaf in leaves], [leaf["leaf"] for leaf in expected]
    if names != wanted:
        return [f"leaves: kernel {names}, oracle {wanted}"]
    found: list[str] = []
    for position, (leaf, want) in enumerate(zip(leaves, expected, strict=True)):
        for name, value in want.items():
            have = _plain(leaf["leaf"], name, leaf.get(name))
            value = msgspec.json.decode(msgspec.json.encode(value))
            if name == "code" and isinstance(value, list):
                if have not in value:
                    found.append(f"leaf {position} {leaf['leaf']}.code: kernel {have}, oracle {value}")
            elif have != value:
                found.append(f"leaf {position} {leaf['leaf']}.{name}: kernel {have}, oracle {value} in {leaf}")
    return found


def _plain(leaf: str, name: str, value: Any) -> Any:
    """A field of a kernel's leaf in the oracle's plainer words."""
    if name == "ballots":
        return sorted([b["member"], b["verdict"], b["code"], b["late"], b["epoch"]] for b in value)
    if leaf == "roster" and name == "members":
        return [
            [m["id"], m["entity"], m["roles"], m["status"], m["until"], m["joined"], m["keys"]["act"], m["keys"]["root"]]
            for m in value
        ]
    if name == "posts":
        return [[p["member"], p["part"], p["amount"]] for p in value]
    if name in ("stains", "annulled"):
        return sorted([s["member"], s["part"]] for s in value)
    if name == "answers":
        return [[a["member"], a["received"], a["answer"], a["code"], a["late"]] for a in value]
    return value


def balance_differences(state: State, book: Book) -> list[str]:
    """Credits, stains, tokens, quotas, and who is what, that do not agree."""
    found: list[str] = []
    if sorted(state.members) != sorted(book.members):
        return [f"members: kernel {sorted(state.members)}, oracle {sorted(book.members)}"]
    limits, tokens = book.charter.limits, book.charter.tokens
    for name, member in sorted(book.members.items()):
        row, account = state.members[name], state.accounts[name]
        have: dict[str, Any] = {
            "status": row.status, "until": row.until, "roles": list(row.roles), "keys": row.keys,
            "joined": row.joined,
            "credits": account.credits, "stains": account.stains,
            "quota": _refilled(account.quota, account.quota_at, limits.envelopes, limits.envelope_ms, book.at),
            "tokens": _refilled(account.tokens, account.tokens_at, tokens.bucket, tokens.refill_s * 1000, book.at),
            "open": account.open, "motions": account.motions, "through": account.through,
        }
        open_now = [m for m in book.messages if m.live and m.author == name and m.peer is None]
        want: dict[str, Any] = {
            "status": member.status, "until": member.until, "roles": list(member.roles), "keys": member.keys,
            "joined": member.joined,
            "credits": book.credits(name), "stains": book.standing_stains(name),
            "quota": book.quota(name), "tokens": book.token_count(name),
            "open": len(open_now), "motions": len([m for m in open_now if m.motion is not None]),
            "through": book.through.get(name),
        }
        found += [f"{name}.{k}: kernel {have[k]}, oracle {want[k]}" for k in have if have[k] != want[k]]
    live = sorted(m.id for m in book.messages if m.live)
    if sorted(state.messages) != live:
        found.append(f"live messages: kernel {sorted(state.messages)}, oracle {live}")
    for origin, peer in sorted(book.peers.items()):
        there = state.peers.get(origin)
        if there is None or there.state != peer.state:
            found.append(f"peer {origin}: kernel {there}, oracle {peer}")
    if sorted(state.peers) != sorted(book.peers):
        found.append(f"peers: kernel {sorted(state.peers)}, oracle {sorted(book.peers)}")
    waiting = None if state.upgrade is None else (state.upgrade.protocol, set(state.upgrade.ready))
    if (state.meta.protocol, waiting) != (book.protocol, book.upgrade):
        found.append(f"protocol: kernel {state.meta.protocol} {waiting}, oracle {book.protocol} {book.upgrade}")
    if sorted(one.index for one in state.handovers.values()) != sorted(one.index for one in book.handovers):
        found.append(f"handovers: kernel {state.handovers}, oracle {book.handovers}")
    if state.charter.digest != book.charter.digest:
        found.append("charters differ")
    return found


def _refilled(level: int, since: int, cap: int, step: int, now: int) -> int:
    return min(cap, level + max(0, now - since) // step)
