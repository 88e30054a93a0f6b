"""Laws of the kernel that need no oracle: what holds of every block of every history, whatever the rules say."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.fuzz.dice import TIMES
from tests.kernel.ledger import Ledger
from tests.kernel.networks import Chance, Seeded, seal, some_network
from tests.kernel.recorded import History, bytes_of, history, tell, walk, write
from tests.oracle.beside import Kernel, Sealed, Step
from tests.paths import ROOT
from tests.pythons import install, interpreter
from tocsin.kernel import explain
from tocsin.kernel.acts import Submit
from tocsin.kernel.archive import ArchiveSum
from tocsin.kernel.block import Outcome, checks, reads
from tocsin.kernel.charter_check import check_roster
from tocsin.kernel.digest import incident_id, message_id
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import GenesisError, decode_genesis, sorted_founders
from tocsin.kernel.state import State

SEEDS = range(40 * TIMES)
of_every_history = pytest.mark.parametrize("seed", SEEDS)
_DIGEST = re.compile(rb"[0-9a-f]{64}")


def renamed(data: bytes, names: Mapping[str, str]) -> bytes:
    """The bytes with other names for some of the digests in them."""
    return _DIGEST.sub(lambda found: names.get(found[0].decode(), found[0].decode()).encode(), data)


# A refused act changes nothing.


def without_refused(state: State, outcome: Outcome, step: Step) -> tuple[Step, dict[str, str]]:
    """The block without its refused acts, and without envelopes of which none was taken.

    The other value leads from the ids of what it opens to what they are in the whole block: an envelope's digest
    covers all its acts.
    """
    dropped = dict(outcome.dropped)
    consumed = [one for place, one in enumerate(step.sealed) if place not in dropped]
    kept: list[Sealed] = []
    names: dict[str, str] = {}
    for (envelope, *said), codes in zip(consumed, outcome.receipts, strict=True):
        taken = [index for index, code in enumerate(codes) if code == 0]
        if not taken:
            continue
        header, acts = envelope.header, [envelope.acts[index] for index in taken]
        for until in range(header.valid_until, step.at, -1):
            new = seal(header.genesis, header.author, acts, until, envelope.key, *said)
            # What is left of it may be an envelope that there was already.
            if new.envelope.digest not in state.seen and new.envelope.digest not in names:
                break
        kept.append(new)
        names[new.envelope.digest] = envelope.digest
        for place, index in enumerate(taken):
            now, then = message_id(new.envelope.digest, place), message_id(envelope.digest, index)
            names[now], names[incident_id(now)] = then, incident_id(then)
    return Step(step.at, kept), names


def rows_but_quota(kernel: Kernel, writes: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes | None]:
    """What a block writes, but for what every envelope costs: its author's quota, and that it was seen. Without the
    archive's sum as well, which has the names of rows in it, and follows from the others."""
    rows: dict[str, bytes | None] = {}
    for key, value in writes:
        table, _, name = key.partition(":")
        if table == "account" and value is not None:
            account = {**msgspec.json.decode(value), "quota": 0, "quota_at": 0}
            before = kernel.state.accounts.get(name)
            if before is not None and account == msgspec.to_builtins(replace(before, quota=0, quota_at=0)):
                continue
            rows[key] = encode(account)
        elif table not in ("seen", "archive"):
            rows[key] = value
    return rows


@of_every_history
def test_a_refused_act_changes_nothing(seed: int) -> None:
    """But its author's quota, and that its envelope was seen (spec 3.3, spec 5)."""
    for kernel, step, outcome in walk(history(seed)):
        less, names = without_refused(kernel.state, outcome, step)
        alone, named = kernel.apply(less), partial(renamed, names=names)
        assert alone.dropped == []
        assert all(code == 0 for codes in alone.receipts for code in codes)
        assert [named(leaf) for leaf in alone.leaves[:-1]] == outcome.leaves[:-1]
        wrote = rows_but_quota(kernel, outcome.writes)
        if not alone.changed:
            assert len(outcome.leaves) == int(outcome.changed)
            assert wrote.keys() <= {"meta:"}
            continue
        same = {
            named(key.encode()).decode(): value and named(value)
            for key, value in rows_but_quota(kernel, alone.writes).items()
        }
        assert same == wrote


@of_every_history
def test_an_envelope_that_no_block_may_hold_changes_nothing(seed: int) -> None:
    """Nothing at all: the block is the same byte for byte without it (spec 3.3)."""
    for kernel, step, outcome in walk(history(seed)):
        if outcome.dropped:
            out = {position for position, _ in outcome.dropped}
            alone = kernel.apply(Step(step.at, [one for place, one in enumerate(step.sealed) if place not in out]))
            assert (alone.leaves, alone.writes, alone.receipts) == (outcome.leaves, outcome.writes, outcome.receipts)


# The order of the members in the genesis changes nothing.


def test_founders_in_any_order_make_one_genesis() -> None:
    genesis = next(history(seed).genesis for seed in SEEDS if len(history(seed).genesis.members) > 4)
    for turn in range(5):
        mixed = list(genesis.members)
        Random(turn).shuffle(mixed)
        assert encode(replace(genesis, members=sorted_founders(mixed))) == encode(genesis)
        if mixed != genesis.members:
            with pytest.raises(GenesisError, match="not sorted"):
                decode_genesis(encode(replace(genesis, members=mixed)))


@of_every_history
def test_the_order_of_the_members_in_the_genesis_changes_nothing(seed: int) -> None:
    """A genesis has them sorted (spec 1.2). With any other order the kernel would do the same, but for digests: that
    of the genesis, and those which cover it, as envelopes and all ids do."""
    genesis = some_network(Chance(Seeded(seed)))
    mixed = list(reversed(genesis.members))
    told = [tell(genesis, seed), tell(replace(genesis, members=mixed), seed)]
    assert anonymous(told[0]) == anonymous(told[1])


def anonymous(told: History) -> list[bytes]:
    """All leaves, receipts and rows, with digests numbered as they first come in the log."""
    names: dict[str, str] = {}
    made: list[bytes] = []
    for _, _, outcome in walk(told):
        for leaf in outcome.leaves[:-1]:
            for found in _DIGEST.findall(leaf):
                names.setdefault(found.decode(), f"<{len(names)}>")
            made.append(renamed(leaf, names))
        made.append(encode([outcome.receipts, outcome.dropped]))
        # What has no name in the log: digests of envelopes seen, and pins of peers, whose logs name us.
        rows = [renamed(key.encode() + b" " + (value or b""), names) for key, value in outcome.writes
                if not key.startswith(("seen:", "original:"))]  # fmt: skip
        made += sorted(_DIGEST.sub(b"<>", row) for row in rows)
    return made


# Reading changes nothing.


def look(kernel: Kernel, step: Step, chance: Random) -> None:
    """Everything that a node or a page asks of a state, also about what will never be in a block."""
    state, envelopes = kernel.state, [one.envelope for one in step.sealed]
    checks(state, envelopes)
    for at in (0, step.at, step.at + 10**9):
        reads(state, at, envelopes, {})
        state.due(at), state.expired(at)
    kernel.apply(step)
    kernel.apply(Step(step.at + 10**9, [one._replace(signed=False) for one in step.sealed]))
    state.rows(), state.digest(), state.roster, state.peers, state.next_deadline()
    members = list(state.members.values())
    check_roster(state.charter, members, list(state.peers.values()))
    explain.describe(state.charter)
    for envelope in envelopes:
        member = state.members.get(envelope.header.author)
        for act in envelope.acts:
            if isinstance(act, Submit) and member is not None:
                stage = chance.choice(("none", *state.charter.stages.names))
                category = None if act.subject is None else act.subject.category
                explain.explain_submit(
                    state.charter, act.kind, stage, member.roles, members=members, author=member.id, category=category
                )


def shape(state: State) -> Any:
    """Rows and all that is derived from them, in the order in which they lie there."""
    content = {name: list(table.items()) for name, table in state.tables.items()}
    derived = (state.seen, state.timeline, state.based, state.named, state.live_incidents, state.keyed)
    return deepcopy((content, [list(one.items()) if isinstance(one, dict) else one for one in derived]))


@of_every_history
def test_reading_changes_nothing(seed: int) -> None:
    told, chance = history(seed), Random(seed)
    quiet, asked = Kernel(told.genesis), Kernel(told.genesis)
    for step in told.steps:
        before = shape(asked.state)
        look(asked, step, chance)
        assert shape(asked.state) == before
        one, other = quiet.step(step), asked.step(step)
        assert (one.leaves, one.writes, one.receipts) == (other.leaves, other.writes, other.receipts)


# Where and how a history goes on changes nothing.


@of_every_history
def test_a_state_read_back_from_its_rows_goes_on_alike(seed: int) -> None:
    """At every block, and whatever order the rows come in (spec 3.4, spec 10)."""
    told, chance = history(seed), Random(seed)
    kernel, again = Kernel(told.genesis), Kernel(told.genesis)
    for step in told.steps:
        rows = again.state.rows()
        assert rows == kernel.state.rows()
        assert again.state.timeline == kernel.state.timeline
        chance.shuffle(rows)
        again.state = State.from_rows(sorted(rows, key=lambda row: not row[0].startswith(("charter:", "meta:"))))
        one, other = kernel.step(step), again.step(step)
        assert (one.leaves, one.writes, one.receipts, one.dropped) == (
            other.leaves, other.writes, other.receipts, other.dropped,
        )  # fmt: skip
    assert again.archive == kernel.archive


@of_every_history
def test_the_writes_are_the_whole_difference(seed: int) -> None:
    """Rows before, with the writes of a block, are the rows after; and each write is a change (spec 10)."""
    told = history(seed)
    kernel = Kernel(told.genesis)
    for step in told.steps:
        rows = dict(kernel.state.rows()) | kernel.archive
        outcome = kernel.step(step)
        assert [key for key, value in outcome.writes if rows.get(key) == value] == []
        rows |= {key: value for key, value in outcome.writes if value is not None}
        gone = {key for key, value in outcome.writes if value is None}
        left = {key: value for key, value in rows.items() if key not in gone}
        assert left == dict(kernel.state.rows()) | kernel.archive


@of_every_history
def test_the_archived_rows_add_up_to_their_sum(seed: int) -> None:
    """After every block, though rows are written, closed again and corrected (spec 10.2)."""
    told = history(seed)
    kernel = Kernel(told.genesis)
    for step in told.steps:
        kernel.step(step)
        total = ArchiveSum()
        for key, value in kernel.archive.items():
            total.add(key, value)
        assert total.row() == kernel.state.archive


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_makes_the_same_bytes(hash_seed: str) -> None:
    """Whatever seeds its hashes."""
    elsewhere(sys.executable, {"PYTHONHASHSEED": hash_seed})


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_another_version_of_python_makes_the_same_bytes(version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    install(python, tmp_path, "msgspec", "pynacl", "hypothesis")
    elsewhere(str(python), {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{tmp_path}"})


def elsewhere(python: str, env: dict[str, str]) -> None:
    """Play all histories in a process of its own, and compare."""
    told = [history(seed) for seed in SEEDS]
    done = subprocess.run(
        [python, "-m", "tests.kernel.recorded"], input=b"".join(write(one) for one in told), capture_output=True,
        cwd=ROOT, timeout=300, env={**os.environ, **env}, check=True,
    )  # fmt: skip
    assert done.stdout.decode().split() == [bytes_of(one) for one in told]


# What is kept is kept: credits, stains, tokens, electorates, ballots.


@cache
def balanced(seed: int) -> Counter[str]:
    """Keep the books of a history, and say how often they had something to keep."""
    ledger = Ledger()
    for kernel, step, outcome in walk(history(seed)):
        ledger.block(kernel, step, outcome)
        ledger.met["refused"] += sum(code != 0 for codes in outcome.receipts for code in codes)
        ledger.met["dropped"] += len(outcome.dropped)
    return ledger.met


@pytest.mark.parametrize("first", range(0, 200 * TIMES, 10))
def test_books_balance(first: int) -> None:
    """`Ledger` says what; it reads the log, the acts and the rows, and asks the kernel for nothing else."""
    for seed in range(first, first + 10):
        balanced(seed)


def test_the_histories_are_about_something() -> None:
    """Else the laws would hold of nothing."""
    seen: Counter[str] = Counter()
    for seed in range(200):
        seen.update(balanced(seed))
    wanted = {
        "refused": 1000, "dropped": 100, "posted": 20, "reversed": 2, "stained": 20, "annulled": 2, "token spent": 300,
        "token returned": 50, "suspended in the size": 5, "dormant left out": 10, "conflicted": 100, "ballots": 1000,
        "void": 10, "rejected": 10, "lapsed": 100, "recorded": 300, "vetoed": 5,
    }  # fmt: skip
    assert {name: seen[name] for name, least in wanted.items() if seen[name] < least} == {}
