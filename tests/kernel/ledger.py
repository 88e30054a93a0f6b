"""What is conserved, kept as a bookkeeper would: from the log and the acts, beside the kernel's own accounts."""

from collections import Counter, defaultdict
from typing import Any

import msgspec

from tests.oracle.beside import Kernel, Step
from tocsin.kernel import leaves as log
from tocsin.kernel.acts import AdmitMotion, Judge, LeadMotion, Review, Submit
from tocsin.kernel.block import Outcome
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.rows import OLD_MESSAGE, Account, Member, Message
from tocsin.kernel.state import State
from tocsin.kernel.words import CONSTITUTIONAL

RELAXED = ("motion.charter", "motion.admit", "motion.reinstate")
"""Where `at_least` never exceeds the size (spec F6)."""

read_leaf = msgspec.json.Decoder(log.AnyLeaf).decode
read_message = msgspec.json.Decoder(Message).decode


class Ledger:
    """`block` takes each outcome while the kernel still stands before it. `met`: how often each thing was seen."""

    def __init__(self) -> None:
        self.credits: Counter[str] = Counter()
        self.of_record: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        """Posts to (member, part) by the record they are for, all added up."""
        self.stains: Counter[str] = Counter()
        self.stains_of: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self.spent: dict[str, str] = {}
        """Reports whose token is out, and whose it was."""
        self.opened: dict[str, log.Opened] = {}
        self.ballots: dict[str, dict[str, str]] = defaultdict(dict)
        """Ballots that were accepted, by message and member."""
        self.met: Counter[str] = Counter()

    def block(self, kernel: Kernel, step: Step, outcome: Outcome) -> None:
        after: dict[str, Any] = dict(outcome.writes)
        leaves = [read_leaf(leaf) for leaf in outcome.leaves]
        self._acts(outcome)
        for leaf in leaves:
            if isinstance(leaf, log.Settled):
                self._settled(leaf, [one for one in leaves if isinstance(one, log.FindingLeaf)])
            elif isinstance(leaf, log.EvidenceLeaf) and leaf.origin == kernel.state.meta.origin:
                self.stains.update(leaf.members)
            elif isinstance(leaf, log.Opened):
                self._opened(kernel, leaf, outcome)
            elif isinstance(leaf, log.Final):
                self._final(leaf)
        rows = [read_message(row) for key, row in outcome.writes if key.startswith(OLD_MESSAGE) and row is not None]
        for row in rows:
            assert Counter({(one.member, one.part): one.amount for one in row.posts}) == +self.of_record[row.id]
            assert row.truth == "upheld" or not row.posts
            standing = Counter((one.mark.member, one.mark.part) for one in row.stains if one.standing)
            assert standing == +self.stains_of[row.id]
        accounts = dict(kernel.state.accounts)
        for key in after:
            if key.startswith("account:"):
                account = msgspec.json.decode(after[key], type=Account)
                accounts[account.id] = account
        for name, account in accounts.items():
            assert account.credits == self.credits[name]
            assert account.stains == self.stains[name] >= 0
        assert sum(one.credits for one in accounts.values()) == sum(sum(of.values()) for of in self.of_record.values())
        self._tokens(kernel, outcome, accounts, rows)

    # Acts that were accepted.

    def _acts(self, outcome: Outcome) -> None:
        for envelope, codes in zip(outcome.consumed, outcome.receipts, strict=True):
            for act, code in zip(envelope.acts, codes, strict=True):
                if isinstance(act, Judge) and code == 0:
                    assert envelope.header.author not in self.ballots[act.message]
                    self.ballots[act.message][envelope.header.author] = act.verdict

    # Credits and stains.

    def _settled(self, leaf: log.Settled, findings: list[log.FindingLeaf]) -> None:
        net, stains = self.of_record[leaf.target], self.stains_of[leaf.target]
        back = [one for one in leaf.posts if one.amount < 0]
        if back or leaf.annulled:
            # Exactly what was posted and what stained, no more and no less.
            assert Counter({(one.member, one.part): -one.amount for one in back}) == +net
            assert Counter((one.member, one.part) for one in leaf.annulled) == +stains
            self.met["reversed"] += bool(back)
            self.met["annulled"] += bool(leaf.annulled)
        verdict = next(one.verdict for one in findings if one.id == leaf.finding)
        assert verdict == "upheld" or len(back) == len(leaf.posts)
        for post in leaf.posts:
            self.credits[post.member] += post.amount
            net[post.member, post.part] += post.amount
        for mark in leaf.annulled:
            self.stains[mark.member] -= 1
            stains[mark.member, mark.part] -= 1
        for mark in leaf.stains:
            self.stains[mark.member] += 1
            stains[mark.member, mark.part] += 1
        assert all(one in (0, 1) for one in stains.values())
        self.met["posted"] += len(leaf.posts) > len(back)
        self.met["stained"] += len(leaf.stains)

    # Tokens.

    def _tokens(self, kernel: Kernel, outcome: Outcome, accounts: dict[str, Account], rows: list[Message]) -> None:
        """Each actual report takes one; each comes back at most once; nothing else moves them but time (spec 9.4)."""
        new: dict[str, str] = {}
        for envelope, codes in zip(outcome.consumed, outcome.receipts, strict=True):
            for index, (act, code) in enumerate(zip(envelope.acts, codes, strict=True)):
                if code == 0 and isinstance(act, Submit) and act.subject is not None and act.subject.status == "actual":
                    new[message_id(envelope.digest, index)] = envelope.header.author
        back: dict[str, str] = {}
        for row in rows:
            if not row.token_spent and (row.id in self.spent or row.id in new):
                back[row.id] = row.author
            assert not row.token_spent or row.id in self.spent or row.id in new, "what came back is not taken again"
        spent, returned = Counter(new.values()), Counter(back.values())
        self.spent = {name: by for name, by in (self.spent | new).items() if name not in back}
        self.met["token spent"] += spent.total()
        self.met["token returned"] += returned.total()
        law, at = kernel.state.charter, outcome.at
        if any(key.startswith("charter:") for key, _ in outcome.writes):
            return  # the bucket itself changed
        for name, before in kernel.state.accounts.items():
            level, now = _level(before, law, at), _level(accounts[name], law, at)
            most = min(law.tokens.bucket, level - spent[name] + returned[name])
            least = min(law.tokens.bucket, level + returned[name]) - spent[name]
            assert 0 <= least <= now <= most <= law.tokens.bucket
            assert returned[name] or now == level - spent[name]

    # Electorates.

    def _opened(self, kernel: Kernel, leaf: log.Opened, outcome: Outcome) -> None:
        self.opened[leaf.id] = leaf
        law, state = leaf.rule.threshold, kernel.state
        if law is None:
            assert (leaf.electorate, leaf.size, leaf.need) == ([], 0, 0)
            return
        could = [one for one in state.members.values() if _votes(leaf, one)]
        active = {one.id for one in could if one.status == "active"}
        assert leaf.electorate == sorted(leaf.electorate)
        assert set(leaf.electorate) <= active
        out = active - set(leaf.electorate)
        conflicts = _conflicts(leaf, kernel, outcome)
        assert not conflicts & set(leaf.electorate)
        asleep = out - conflicts
        assert all(_may_sleep(state, outcome, leaf, name) for name in asleep)
        suspended = {one.id for one in could if one.status == "suspended"} - conflicts
        counted = len(suspended) if leaf.kind in CONSTITUTIONAL else 0
        assert leaf.size == len(leaf.electorate) + counted
        least = law.at_least
        if leaf.kind in RELAXED:
            least = min(least, leaf.size + len(asleep))
        share = next(
            n for n in range(leaf.size + 2)
            if (n * law.den > law.num * leaf.size if law.strict else n * law.den >= law.num * leaf.size)
        )
        assert leaf.need == max(1, share, least)
        self.met["suspended in the size"] += counted > 0
        self.met["dormant left out"] += bool(asleep)
        self.met["conflicted"] += bool(out & conflicts)

    def _final(self, leaf: log.Final) -> None:
        """What was frozen at the opening is what it ends with, and its ballots are those that were cast."""
        state = type(leaf).__name__.lower()
        self.met[state] += 1
        opened = self.opened.get(leaf.id)
        if opened is None:
            assert leaf.rule.model == "broadcast"
            return
        for field in ("kind", "author", "status", "terms", "subject", "charter", "rule", "stage", "electorate", "size",
                      "need"):  # fmt: skip
            assert getattr(leaf, field) == getattr(opened, field), field
        cast = {ballot.member: ballot.verdict for ballot in leaf.ballots}
        assert len(cast) == len(leaf.ballots)
        mover = {leaf.author: "endorse"} if leaf.kind.startswith("motion.") and leaf.author in leaf.electorate else {}
        assert cast == mover | self.ballots[leaf.id]
        assert cast.keys() <= set(leaf.electorate)
        assert len(leaf.electorate) <= leaf.size
        self.met["ballots"] += len(cast)
        endorsed = sum(1 for one in leaf.ballots if one.verdict == "endorse" and not one.late)
        rejected = sum(1 for one in leaf.ballots if one.verdict == "reject" and not one.late)
        if leaf.rule.threshold is not None and state == "recorded":
            assert endorsed >= leaf.need
        if state == "rejected":
            assert leaf.size - rejected < leaf.need <= leaf.size
        if state == "lapsed":
            assert endorsed < leaf.need
            assert leaf.need > leaf.size or leaf.size - rejected >= leaf.need
        assert set(leaf.vetoers) <= set(opened.eligible)
        assert state != "vetoed" or leaf.by in opened.eligible


def _level(account: Account, charter: Charter, at: int) -> int:
    """Tokens of an account at a moment."""
    law = charter.tokens
    if account.tokens >= law.bucket:
        return law.bucket
    return min(law.bucket, account.tokens + (at - account.tokens_at) // (law.refill_s * 1000))


def _votes(leaf: log.Opened, member: Member) -> bool:
    rule = leaf.rule
    holds = "member" in rule.electorate or bool(set(rule.electorate) & set(member.roles))
    return holds and (rule.veto is None or not set(rule.veto.by) & set(member.roles))


def _conflicts(leaf: log.Opened, kernel: Kernel, outcome: Outcome) -> set[str]:
    """Who must not judge: the author of what is no motion or who stands for it, and whom it is about (spec 6.5)."""
    found: set[str | None] = set()
    if leaf.source is not None:
        found.add(kernel.state.peers[leaf.author].entry.represented_by)
    elif not leaf.kind.startswith("motion."):
        found.add(leaf.author)
    terms: Any = leaf.terms
    if leaf.kind in CONSTITUTIONAL and hasattr(terms, "member") and not isinstance(terms, AdmitMotion):
        found.add(terms.member)
    if isinstance(terms, LeadMotion) and terms.do == "vacate":
        found.add(terms.base)
    if isinstance(terms, Review):
        target = read_message(dict(outcome.writes).get(OLD_MESSAGE + terms.target) or kernel.archive[OLD_MESSAGE + terms.target])
        found |= {one.member for one in target.ballots.values() if one.verdict == "endorse"}
        found |= {target.finding_by, target.by if target.state == "vetoed" else None}
        peer = None if target.source is None else kernel.state.peers.get(target.author)
        found.add(target.author if target.source is None else None if peer is None else peer.entry.represented_by)
    return {one for one in found if one is not None}


def _may_sleep(state: State, outcome: Outcome, leaf: log.Opened, name: str) -> bool:
    """Whether this member can have been dormant when the message opened, somewhere in the block (spec F16)."""
    law, threshold = state.charter.dormant, leaf.rule.threshold
    if law is None or threshold is None or threshold.num == 0 or name == leaf.author:
        return False
    before = state.accounts[name]
    row = dict(outcome.writes).get(f"account:{name}")
    after = before if row is None else msgspec.json.decode(row, type=Account)
    silent = outcome.at - before.last_act >= law.silent_s * 1000
    return silent and (before.missed >= law.missed or after.missed >= law.missed or before.last_act != after.last_act)
