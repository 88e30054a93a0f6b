"""Findings, reviews, credits and stains (spec 9, F8, F9, F10, F18, F24)."""

from typing import Literal

from tocsin.kernel import tokens
from tocsin.kernel.acts import Finding, Review, Terms
from tocsin.kernel.charter_check import required
from tocsin.kernel.draft import Draft
from tocsin.kernel.electorate import author_member, electorate, parties
from tocsin.kernel.leaves import FindingLeaf, Original, Post, Settled, StainMark, To
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import OLD_MESSAGE, Incident, Message, Stain
from tocsin.kernel.words import Truth

PASSED_ON = ("relayed.annotated", "relayed.finding")
"""Statements that go on to wherever their record went (spec 5.6, spec 9.1)."""


def is_report(kind: str) -> bool:
    """What a finding can be about."""
    return kind.startswith(("report.", "relayed.report."))


def original_of(draft: Draft, message: Message) -> Original:
    """The first network and id of a message (spec 11)."""
    return Original(draft.meta.genesis, message.id) if message.source is None else message.source.original


def check(draft: Draft, author: str, terms: Finding | Review) -> Reason:
    """Whether a finding, or a review, may be put (spec 9)."""
    target = draft.old(OLD_MESSAGE, terms.target)
    if target is None:
        return Reason.NOT_FINAL if draft.message(terms.target) is not None else Reason.UNKNOWN_MESSAGE
    if not is_report(target.kind):
        return Reason.NOT_A_REPORT
    if terms.evidence_class == "none" and terms.verdict != "undetermined":
        return Reason.ONLY_UNDETERMINED
    if (terms.evidence is None) != (terms.evidence_class == "none"):
        return Reason.EVIDENCE_DIGEST_REQUIRED
    if isinstance(terms, Review):
        if target.finding is None or target.finding != terms.finding:
            return Reason.NO_FINDING
        return Reason.REVIEW_EXISTS if target.reviewed or target.review_open else Reason.ACCEPTED
    if author in parties(draft, target):
        return Reason.PARTY_OR_LEAD
    incident = incident_of(draft, target)
    if incident is not None and incident.lead == author:
        return Reason.PARTY_OR_LEAD
    return Reason.ACCEPTED if holds(draft, terms) else Reason.FINDING_STANDS


def incident_of(draft: Draft, target: Message) -> Incident | None:
    """The live incident of a final report: the one it joined, or if it was not recorded that of its opening (F12)."""
    end = draft.incident_end(target.incident if target.state == "recorded" else target.joins)
    return None if end is None or end.closed is not None else end


def holds(draft: Draft, terms: Terms | None) -> bool:
    """The base of a finding or review (F8)."""
    if isinstance(terms, Finding):
        target = draft.old(OLD_MESSAGE, terms.target)
        return target is not None and target.truth in ("none", "undetermined") and not target.reviewed
    if isinstance(terms, Review):
        target = draft.old(OLD_MESSAGE, terms.target)
        return target is not None and target.finding == terms.finding and not target.reviewed
    return True


def destinations(draft: Draft, target: Message, but: str | None = None) -> To:
    """Findings and annotations go wherever the record went, but not back to who told them (spec 11.1)."""
    if target.kind in PASSED_ON:
        return []  # elsewhere it would be taken for one about the record itself
    return [
        draft.send(origin, target.id, answered=False)
        for origin in sorted({origin for origin, _ in target.went})
        if origin != but and draft.peer(origin) is not None
    ]


def apply(draft: Draft, message: Message) -> None:
    """Effect of a recorded finding or review of our own."""
    terms = message.terms
    if isinstance(terms, Finding | Review):
        _set(draft, message, terms, reverse=isinstance(terms, Review))


def from_peer(draft: Draft, message: Message) -> None:
    """Effect of a relayed finding: the parent's may count (spec 9.1); a child's is a note."""
    how = counts(draft, message)
    terms = message.terms
    if how and isinstance(terms, Finding | Review):
        _set(draft, message, terms, reverse=how == "replaces")


def counts(draft: Draft, message: Message) -> Literal["first", "replaces"] | None:
    """Whether a relayed finding is to be the target's: `first` where none but `undetermined` stands; `replaces` where
    the parent reviewed its own, or ours cannot be reviewed (F9); None for a note."""
    terms, source = message.terms, message.source
    if not isinstance(terms, Finding | Review) or source is None or len(source.path) > 1:
        return None  # what came over others is their finding, not our parent's
    sender = draft.peer_of(source.sender)
    target = draft.old(OLD_MESSAGE, terms.target)
    if sender is None or target is None or sender.entry.relation != "parent" or target.reviewed:
        return None
    if target.truth in ("none", "undetermined"):
        return "first"
    if target.finding_by == message.author:
        return "replaces" if isinstance(terms, Review) and terms.finding == target.finding else None
    return None if _reviewable(draft, target) else "replaces"


def _reviewable(draft: Draft, target: Message) -> bool:
    """Whether neutrals could reach the need of a review; if not, the parent's finding replaces ours (F9)."""
    incident = incident_of(draft, target)
    index = draft.charter.match("finding.review", "none" if incident is None else incident.stage)
    if index is None or target.finding is None:
        return False
    rule = draft.charter.rules[index]
    review = Review(target.finding, target.id, "undetermined", "none", None)
    voters = electorate(draft, rule, "finding.review", "", None, review, incident)
    return required(rule, "finding.review", voters.size, voters.asleep) <= voters.size


def _set(draft: Draft, message: Message, terms: Finding | Review, *, reverse: bool) -> None:
    """Make this the target's finding; `reverse`: it replaces one, whose posts are reversed first."""
    target: Message = draft.edit_old(OLD_MESSAGE, terms.target)
    target.truth = terms.verdict
    target.finding, target.finding_by, target.finding_class = message.id, message.author, terms.evidence_class
    if target.found_at is None and terms.verdict != "undetermined":
        target.found_at = draft.at
    if isinstance(terms, Review) and message.source is None:
        target.reviewed, target.review_open = True, False
    target.overturned = target.state == "vetoed" and terms.verdict == "upheld"
    to = destinations(draft, target, but=None if message.source is None else message.author)
    draft.leaf(
        FindingLeaf(
            message.id, target.id, original_of(draft, target), terms.verdict, terms.evidence_class, terms.evidence,
            message.author, reverse, True, target.overturned, draft.at, message.act, message.envelope, to,
        )
    )  # fmt: skip
    _settle(draft, target, message.id, terms.verdict, reverse)


def _settle(draft: Draft, target: Message, finding: str, verdict: Truth, reverse: bool) -> None:
    """Credits, stains and exact reversals, keyed by target and finding (spec 9)."""
    posts: list[Post] = []
    annulled: list[StainMark] = []
    if reverse:
        posts += [Post(post.member, post.part, -post.amount) for post in target.posts]
        annulled = [stain.mark for stain in target.stains if stain.standing]
        target.stains = [Stain(stain.mark, stain.finding, False) for stain in target.stains]
        target.posts = []
    earned = _rewards(draft, target) if verdict == "upheld" else []
    stains = _stains(draft, target, verdict)
    target.posts = earned
    target.stains = target.stains + [Stain(mark, finding, True) for mark in stains]
    posts += earned
    for post in posts:
        draft.account(post.member).credits += post.amount
    for mark in annulled:
        draft.account(mark.member).stains -= 1
    for mark in stains:
        draft.account(mark.member).stains += 1
    if verdict == "upheld" and target.source is None:
        tokens.give_back(draft, target, upheld=True)
    if posts or stains or annulled:
        draft.leaf(Settled(target.id, finding, draft.at, posts, stains, annulled))


def _blameless(draft: Draft, target: Message) -> list[str]:
    """Who retracted its report or recanted its ballot in time takes neither credit nor blame (F10)."""
    grace = draft.charter_of(target).stains.grace_s * 1000
    out: list[str] = []
    for remark in target.remarks:
        if target.found_at is not None and remark.at > target.found_at:
            continue
        since = target.opened if remark.note == "retract" else target.ballot_times.get(remark.by)
        if remark.note in ("retract", "recant") and since is not None and grace and remark.at <= since + grace:
            out.append(remark.by)
    return out


def _parts(draft: Draft, target: Message) -> list[tuple[str, str]]:
    """(member, part) of the author or its representative, and of the counted endorsers."""
    out = _blameless(draft, target)
    author = author_member(draft, target.author, target.source)
    found = [] if author is None else [(author, "author")]
    found += [
        (ballot.member, "endorser")
        for ballot in sorted(target.ballots.values(), key=lambda ballot: ballot.member)
        if ballot.verdict == "endorse" and not ballot.late
    ]
    return [(member, part) for member, part in found if member not in out]


def _rewards(draft: Draft, target: Message) -> list[Post]:
    reward = draft.charter_of(target).reward(draft.rule(target).reward)
    if reward is None or target.state != "recorded" or target.status != "actual":
        return []
    posts = [
        Post(member, part, reward.author if part == "author" else reward.endorser)  # type: ignore[arg-type]
        for member, part in _parts(draft, target)
    ]
    return [post for post in posts if post.amount]


def _stains(draft: Draft, target: Message, verdict: Truth) -> list[StainMark]:
    if target.status != "actual":
        return []
    if verdict == "upheld" and target.state == "vetoed" and target.by is not None:
        return [StainMark(target.by, "vetoer")]
    if verdict == "refuted" and target.state == "recorded" and draft.charter_of(target).stains.refuted:
        return [StainMark(member, part) for member, part in _parts(draft, target)]  # type: ignore[arg-type]
    return []
