"""What was said and found of a record since: annotations, findings, settlements, receipts, erasure (spec 8, 9, 12)."""

from collections.abc import Sequence

from tocsin.client.certificate import Case
from tocsin.client.report import Refused, count, names, require, short, when
from tocsin.client.signed import by_member, by_member_in, in_time
from tocsin.kernel.acts import (
    Acknowledge,
    Annotate,
    Erase,
    ErasedHere,
    Finding,
    NoteTerms,
    Order,
    OutcomeTerms,
    ReceiptsTerms,
    Review,
    Submit,
)
from tocsin.kernel.digest import relayed_id
from tocsin.kernel.leaves import (
    Annotated,
    AnyLeaf,
    Erased,
    FindingLeaf,
    OrderReceipts,
    Original,
    PeerLeaf,
    Post,
    Recorded,
    Settled,
    Vetoed,
)
from tocsin.kernel.lifecycle import certainty
from tocsin.kernel.words import Truth


class Aftermath:
    """Goes through the leaves after the record, in log order, and keeps what stands."""

    def __init__(self, case: Case) -> None:
        self._case = case
        record = case.record
        source = record.source
        self._original = Original(case.policy.genesis, record.id) if source is None else source.original
        self._blameless: list[str] = []
        self._remarks: list[tuple[str, str, int]] = []
        self._posts: list[Post] = []
        self._stains: list[tuple[str, str]] = []
        self._finding: FindingLeaf | None = None
        self._found_at: int | None = None
        self._settled_for = True
        self._attested: list[str] = []

    def check(self) -> None:
        """Check every leaf about the record; say what it has come to."""
        case = self._case
        for index, leaf in sorted(case.proven.leaves.items()):
            if self._about(index, leaf):
                case.proven.use(index)
        self._settle_pending()
        if self._attested:
            holders = names(self._attested)
            case.say(f"{count(len(self._attested), 'holder')} of its body attested to have erased it: {holders}.")
        state = type(case.record).__name__.lower()
        if case.record.kind.startswith(("report.", "relayed.report.")):
            truth = "none" if self._finding is None else self._finding.verdict
            shown = certainty(state, truth, None if self._finding is None else self._finding.evidence_class)
            found = "no finding in this file" if self._finding is None else f"found {truth}"
            case.say(f"State {state}, {found}: {shown}.")

    def _about(self, index: int, leaf: AnyLeaf) -> bool:
        record = self._case.record
        if isinstance(leaf, Annotated) and leaf.id == record.id:
            self._annotated(index, leaf)
        elif isinstance(leaf, FindingLeaf) and leaf.target == record.id:
            self._found_by(index, leaf)
        elif isinstance(leaf, FindingLeaf) and leaf.id == record.id:
            self._effect(index, leaf)
        elif isinstance(leaf, Settled) and leaf.target == record.id:
            self._settled(index, leaf)
        elif isinstance(leaf, OrderReceipts) and leaf.order == record.id:
            self._receipts(index, leaf)
        elif isinstance(leaf, Erased) and leaf.id == record.id:
            self._erased(index, leaf)
        elif isinstance(leaf, Recorded) and index != self._case.index:
            return self._from_peer(index, leaf)
        else:
            return False
        return True

    def _annotated(self, index: int, leaf: Annotated) -> None:
        case, record = self._case, self._case.record
        place = case.proven.place(index, leaf.at)
        act, signed = case.acts.take(Annotate, leaf.by, leaf.act, leaf.envelope)
        by_member(signed, place.members)
        in_time(signed, leaf.at, leaf.at)
        require(
            (act.message, act.note, act.body) == (record.id, leaf.note, leaf.body) and leaf.original == self._original,
            f"The annotation of {leaf.by} is not the one that it signed, or not about this record.",
        )
        endorsers = [ballot.member for ballot in record.ballots if ballot.verdict == "endorse"]
        roles = next((one.roles for one in place.members.members if one.id == leaf.by), [])
        allowed = {
            "recant": leaf.by in endorsers,
            "object": "supervisor" in roles,
        }.get(leaf.note, leaf.by == record.author and record.source is None)
        require(allowed, f"{leaf.by} may not {leaf.note} this record.")
        self._remarks.append((leaf.note, leaf.by, leaf.at))
        case.say(f"Leaf {index}: {leaf.note} by {leaf.by}, {when(leaf.at)}, signed.")

    def _effect(self, index: int, leaf: FindingLeaf) -> None:
        """The record is itself a review, or a finding that a peer sent, and this leaf is what it did."""
        terms = self._case.record.terms
        require(
            isinstance(terms, Finding | Review)
            and (leaf.target, leaf.verdict, leaf.evidence_class, leaf.evidence, leaf.act, leaf.envelope)
            == (
                terms.target,
                terms.verdict,
                terms.evidence_class,
                terms.evidence,
                self._case.record.act,
                self._case.record.envelope,
            )
            and leaf.at == self._case.record.at,
            "What the record found is not what it proposed.",
        )
        self._case.say(f"Leaf {index}: by it {short(leaf.target)} is found {leaf.verdict} ({leaf.evidence_class}).")

    def _found_by(self, index: int, leaf: FindingLeaf) -> None:
        case, record = self._case, self._case.record
        require(index > case.index, "A finding stands before the record was final.")
        require(leaf.original == self._original, "A finding names another original than the record has.")
        require(
            leaf.evidence_class != "none" or leaf.verdict == "undetermined",
            "A finding decides without evidence.",
        )
        require(
            leaf.overturned == (isinstance(record, Vetoed) and leaf.verdict == "upheld"),
            "Whether the veto was overturned does not follow from the finding.",
        )
        place = case.proven.place(index, leaf.at)
        if any(one.id == leaf.by for one in place.members.members):
            self._own_finding(leaf, index)
        elif not self._of_peer(leaf):
            raise Refused(f"The finding by {leaf.by} is neither a member's nor one that a peer sent.")
        if leaf.counts:
            standing = self._finding is None or self._finding.verdict == "undetermined" or leaf.review
            require(standing, "A second finding counts, though the first one stands.")
            self._settle_pending()
            self._finding, self._settled_for = leaf, False
            if self._found_at is None and leaf.verdict != "undetermined":
                self._found_at = leaf.at
        kind = "review" if leaf.review else "finding"
        case.say(
            f"Leaf {index}: {kind} of {leaf.by}, {when(leaf.at)}: {leaf.verdict} ({leaf.evidence_class})"
            + (", the veto overturned." if leaf.overturned else ".")
        )
        if leaf.review:
            case.say(f"Who decided that review is checked by the dossier of {short(leaf.id)}.")

    def _own_finding(self, leaf: FindingLeaf, index: int) -> None:
        case = self._case
        act, signed = case.acts.take(Submit, leaf.by, leaf.act, leaf.envelope, leaf.id)
        terms = act.terms
        wanted = Review if leaf.review else Finding
        require(
            isinstance(terms, wanted)
            and (terms.target, terms.verdict, terms.evidence_class, terms.evidence)
            == (leaf.target, leaf.verdict, leaf.evidence_class, leaf.evidence),
            f"{leaf.by} signed another finding than the log says.",
        )
        if leaf.review:
            # It is signed when it is asked for and decided later; its author's key may have changed in between.
            in_time(signed, case.record.at, leaf.at)
            by_member_in(signed, case.proven.rosters_between(case.place.epoch, case.proven.place(index, leaf.at).epoch))
            return
        by_member(signed, case.proven.place(index, leaf.at).members)
        in_time(signed, leaf.at, leaf.at)
        require(leaf.by not in self._parties(), f"{leaf.by} is a party of the record; its finding cannot stand.")

    def _of_peer(self, leaf: FindingLeaf) -> bool:
        return any(
            isinstance(one, Recorded) and one.id == leaf.id and one.kind == "relayed.finding" and one.author == leaf.by
            for one in self._case.proven.leaves.values()
        )

    def _parties(self) -> list[str]:
        record = self._case.record
        found = [self._case.member or ""]
        found += [ballot.member for ballot in record.ballots if ballot.verdict == "endorse"]
        return [*found, record.by or ""] if isinstance(record, Vetoed) else found

    def _settled(self, index: int, leaf: Settled) -> None:
        """Credits and stains recomputed from charter, certificate, finding and annotations (spec 9)."""
        case, finding = self._case, self._finding
        if finding is None or finding.id != leaf.finding or self._settled_for:
            raise Refused("A settlement is of no finding shown, or the second of one.")
        case.proven.place(index, leaf.at)
        self._settled_for = True
        annulled: list[tuple[str, str]] = [(mark.member, mark.part) for mark in leaf.annulled]
        require(annulled == (self._stains if finding.review else []), "The stains annulled are not those that stood.")
        back = [Post(one.member, one.part, -one.amount) for one in self._posts] if finding.review else []
        require(leaf.posts[: len(back)] == back, "The reversals are not those of the posts before.")
        posts = leaf.posts[len(back) :]
        stains: list[tuple[str, str]] = [(mark.member, mark.part) for mark in leaf.stains]
        member = self._member_at(index)
        self._complete(posts, self._rewards(finding.verdict, member))
        self._complete(stains, self._marks(finding.verdict, member))
        self._posts, self._stains = posts, stains
        amounts = names([f"{one.member} {one.amount:+d}" for one in leaf.posts])
        case.say(f"Leaf {index}: settled; credits recomputed: {amounts}; stains: {names([one for one, _ in stains])}.")

    def _settle_pending(self) -> None:
        """A finding without a settlement is one that posts, stains and annuls nothing (F24)."""
        if self._finding is None or self._settled_for:
            return
        require(not self._finding.review or not (self._posts or self._stains), "A review lacks its settlement.")
        member = self._case.member
        self._complete([], self._rewards(self._finding.verdict, member))
        self._complete([], self._marks(self._finding.verdict, member))
        self._settled_for = True

    def _complete(self, given: Sequence[object], expected: Sequence[tuple[str, object]]) -> None:
        """Exactly what is expected, but for who retracted or recanted in the grace time before (F10)."""
        in_order = [one for _, one in expected if one in given]
        require(list(given) == in_order, "The settlement is not what the charter gives.")
        record = self._case.record
        grace = self._case.charter.charter.stains.grace_s * 1000
        excused: list[str] = []
        for note, by, said in self._remarks:
            since = {"retract": record.opened, "recant": record.at}.get(note)
            if since is not None and grace and said <= since + grace and said <= (self._found_at or said):
                excused.append(by)
        left = [member for member, one in expected if one not in given and member not in excused]
        require(not left, f"The settlement passes over {names(left)}, and no retraction or recantation is shown.")

    def _member_at(self, index: int) -> str | None:
        """Who stood for the author at a leaf: a peer's representative may have changed (F18)."""
        member = self._case.member
        for place, leaf in sorted(self._case.proven.leaves.items()):
            if isinstance(leaf, PeerLeaf) and leaf.origin == self._case.record.author and place < index:
                self._case.proven.use(place)
                self._case.proven.place(place, leaf.at)
                member = None if leaf.entry is None else leaf.entry.represented_by
        return member

    def _parts(self, member: str | None) -> list[tuple[str, str]]:
        counted = [b.member for b in self._case.record.ballots if b.verdict == "endorse" and not b.late]
        return ([] if member is None else [(member, "author")]) + [(one, "endorser") for one in sorted(counted)]

    def _rewards(self, verdict: Truth, member: str | None) -> list[tuple[str, Post]]:
        record = self._case.record
        reward = self._case.charter.charter.reward(record.rule.reward)
        if reward is None or verdict != "upheld" or not isinstance(record, Recorded) or record.status != "actual":
            return []
        posts = [
            Post(one, part, reward.author if part == "author" else reward.endorser)  # type: ignore[arg-type]
            for one, part in self._parts(member)
        ]
        return [(post.member, post) for post in posts if post.amount]

    def _marks(self, verdict: Truth, member: str | None) -> list[tuple[str, tuple[str, str]]]:
        record = self._case.record
        if record.status != "actual":
            return []
        if verdict == "upheld" and isinstance(record, Vetoed):
            return [(record.by or "", (record.by or "", "vetoer"))]
        if verdict == "refuted" and isinstance(record, Recorded) and self._case.charter.charter.stains.refuted:
            return [(one, (one, part)) for one, part in self._parts(member)]
        return []

    def _receipts(self, index: int, leaf: OrderReceipts) -> None:
        case, terms = self._case, self._case.record.terms
        require(isinstance(terms, Order) and leaf.source == case.record.source, "Receipts stand for what is no order.")
        place = case.proven.place(index, leaf.at)
        to = [answer.member for answer in leaf.answers]
        if isinstance(terms, Order) and case.record.source is None:
            require(to == terms.to, "The receipts are not those of the order's addressees.")
        for answer in leaf.answers:
            if answer.act is None:
                continue
            due = terms.due if isinstance(terms, Order) else 0
            require(
                answer.received is not None
                and case.record.at <= answer.received <= leaf.at
                and (not answer.late or leaf.at >= due),
                f"The answer of {answer.member} has a time that cannot be.",
            )
            act, signed = case.acts.take(Acknowledge, answer.member, answer.act)
            in_time(signed, case.record.at, leaf.at)
            wanted = answer.answer or "received"
            require(
                (act.order, act.answer, act.code) == (case.record.id, wanted, answer.code),
                f"{answer.member} signed another answer than the log says.",
            )
            by_member_in(signed, case.proven.rosters_between(case.place.epoch, place.epoch))
        done = sum(1 for answer in leaf.answers if answer.answer == "done")
        case.say(f"Leaf {index}: receipts ({leaf.cause}) of {count(len(to), 'addressee')}, {done} done.")

    def _erased(self, index: int, leaf: Erased) -> None:
        case = self._case
        act: Erase | ErasedHere
        if leaf.what == "asked":
            act, signed = case.acts.take(Erase, leaf.by, leaf.act, leaf.envelope)
        else:
            act, signed = case.acts.take(ErasedHere, leaf.by, leaf.act, leaf.envelope)
        by_member(signed, case.proven.place(index, leaf.at).members)
        in_time(signed, leaf.at, leaf.at)
        require(act.message == case.record.id, "An erasure is of another message.")
        if leaf.what == "attested":
            self._attested.append(leaf.by)
        else:
            case.say(f"Leaf {index}: {leaf.by} asked for the erasure of its body, {when(leaf.at)}.")

    def _from_peer(self, index: int, leaf: Recorded) -> bool:
        """What a peer said of the record, as this network's members took it."""
        terms, source, record = leaf.terms, leaf.source, self._case.record
        if source is None or not isinstance(terms, OutcomeTerms | NoteTerms | ReceiptsTerms | Finding):
            return False
        if (terms.target if isinstance(terms, Finding) else terms.message) != record.id:
            return False
        require(
            leaf.id == relayed_id(self._case.policy.genesis, source.sender, source.number),
            f"The id of what {leaf.author} said of the record is not the one of its source.",
        )
        self._case.proven.place(index, leaf.at)
        if isinstance(terms, OutcomeTerms):
            said = f"outcome there {terms.state}" + (f" (reason {terms.code})" if terms.code else "")
        elif isinstance(terms, NoteTerms):
            said = f"{terms.note} by {terms.by}"
        elif isinstance(terms, ReceiptsTerms):
            said = f"{terms.done} of {terms.addressees} done"
        else:
            said = f"found {terms.verdict} ({terms.evidence_class})"
        self._case.say(f"Leaf {index}: {leaf.author} told, {when(leaf.at)}: {said}; as this network's members took it.")
        return True
