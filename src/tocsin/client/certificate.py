"""The record of a dossier: its rule, electorate, ballots, tally and outcome, all recomputed (spec 6, spec 7).

Written from the law and the leaves alone, apart from the kernel that made them.
"""

from dataclasses import dataclass

from tocsin.client.electors import author_member, expected_electors, expected_vetoers
from tocsin.client.policy import Policy
from tocsin.client.proven import Place, Proven
from tocsin.client.report import Line, Refused, count, names, require, short, when
from tocsin.client.signed import Acts, SignedAct, by_member, by_member_in, in_time
from tocsin.client.signing import verify_signature
from tocsin.kernel.acts import AdmitMotion, Concur, Judge, RekeyMotion, Share, Submit, VetoAct, Withdraw
from tocsin.kernel.charter import Rule
from tocsin.kernel.digest import incident_id
from tocsin.kernel.genesis import admission_statement
from tocsin.kernel.leaves import (
    Ballot,
    CharterLeaf,
    Final,
    Lapsed,
    Opened,
    PeerLeaf,
    Recorded,
    Rejected,
    Vetoed,
    Withdrawn,
)
from tocsin.kernel.quorum import need as smallest
from tocsin.kernel.seals import UNSEATS

MAX_LATE_MS = 120_000
"""A deadline reached later than this was missed by an outage and is moved (spec 4, F4)."""
CAPPED = ("motion.admit", "motion.charter", "motion.reinstate")
"""Motions whose `at_least` never exceeds the size (F6)."""


@dataclass
class Case:
    """The record under check. `member`: who stands for its author; `peer`: the entry it came under, if relayed."""

    policy: Policy
    proven: Proven
    acts: Acts
    lines: list[Line]
    index: int
    record: Final
    place: Place
    charter: CharterLeaf
    opened: Opened | None = None
    opened_index: int = 0
    opening: Place | None = None
    peer: PeerLeaf | None = None

    @property
    def rule(self) -> Rule:
        return self.record.rule

    @property
    def at_opening(self) -> Place:
        """Block and roster when it was opened."""
        return self.opening or self.place

    @property
    def member(self) -> str | None:
        """Who stands for the author: itself, or the peer's representative (spec 6.5)."""
        return author_member(self.record, self.peer)

    def say(self, text: str) -> None:
        self.lines.append(Line(True, text))


def open_case(policy: Policy, proven: Proven, acts: Acts, message: str, lines: list[Line]) -> Case:
    """Find the record, its charter and its opening in the proven leaves, and hold them against each other."""
    finals = [
        (index, leaf) for index, leaf in sorted(proven.leaves.items()) if isinstance(leaf, Final) and leaf.id == message
    ]
    require(
        len(finals) == 1,
        f"The dossier holds {count(len(finals), 'final leaf', 'final leaves')} of its message, not one.",
    )
    index, record = finals[0]
    proven.use(index)
    require(
        record.subject is None or record.status == record.subject.status,
        "The record has another status than its subject, an exercise must stay one.",
    )
    place = proven.place(index, record.at)
    name = type(record).__name__.lower()
    case = Case(policy, proven, acts, lines, index, record, place, _charter(proven, record, index))
    case.say(
        f"Leaf {index}: {record.kind} {short(record.id)} by {record.author}, {name} at height {place.block.height}, "
        f"{when(record.at)}, epoch {place.epoch}" + ("." if record.status == "actual" else f", {record.status} only.")
    )
    case.say(
        f"Its rule is that of charter {case.charter.charter.name} ({short(record.charter)}) for this kind and stage."
    )
    _opening(case)
    return case


def _charter(proven: Proven, record: Final, index: int) -> CharterLeaf:
    for place, leaf in sorted(proven.leaves.items()):
        if isinstance(leaf, CharterLeaf) and leaf.digest == record.charter and place < index:
            require(leaf.charter.digest == leaf.digest, "The charter does not have the digest that its leaf states.")
            proven.use(place)
            rule = leaf.charter.match(record.kind, record.stage)
            require(
                rule is not None and leaf.charter.rules[rule] == record.rule,
                f"The charter has another rule for {record.kind} in stage {record.stage} than the record followed.",
            )
            return leaf
    raise Refused("The dossier lacks the charter of the record; ask for a whole one.")


def _opening(case: Case) -> None:
    record = case.record
    if record.rule.model == "broadcast":
        require(record.opened == record.at, "A broadcast is recorded when it is put, this one was later.")
        case.opened_index = case.index
        return
    for index, leaf in sorted(case.proven.leaves.items()):
        if isinstance(leaf, Opened) and leaf.id == record.id and case.opened is None:
            case.opened, case.opened_index = leaf, index
    opened = case.opened
    if opened is None:
        raise Refused("The dossier lacks the opening of the record; ask for a whole one.")
    case.proven.use(case.opened_index)
    case.opening = case.proven.place(case.opened_index, opened.at)
    same = (
        "id", "kind", "author", "status", "subject", "terms", "body", "source", "charter", "rule", "stage",
        "electorate", "size", "need", "act", "envelope",
    )  # fmt: skip
    for name in same:
        require(
            getattr(opened, name) == getattr(record, name),
            f"The record's {name} is not the one with which it was opened.",
        )
    require(
        case.opened_index < case.index and opened.at == record.opened <= record.at,
        "The record was not opened before it ended, at the time it states.",
    )
    # Only a report that is recorded learns its incident later, when it joins or opens one.
    kept = not isinstance(record, Recorded) or not record.kind.startswith(("report.", "relayed.report."))
    require(not kept or record.incident == opened.incident, "The record's incident is not the one it was opened for.")
    rule = record.rule
    wanted = None if rule.threshold is None else opened.at + rule.window_s * 1000
    require(opened.ends == wanted, "The vote was not opened for the time that the rule gives it.")
    wanted = opened.at + rule.notice_s * 1000 if rule.notice_s else None
    require(opened.notice == wanted, "The notice is not the one that the rule gives.")


def check_submission(case: Case) -> None:
    """The author's signed submission says what the leaf says, and the id follows from it."""
    record, opening = case.record, case.at_opening
    act, signed = case.acts.take(Submit, record.author, record.act, record.envelope, record.id)
    by_member(signed, opening.members)
    in_time(signed, record.opened, record.opened)
    subject, body = (record.subject, record.body) if not isinstance(act.terms, Share) else (None, act.body)
    require(
        (act.kind, act.subject, act.terms, act.body) == (record.kind, subject, record.terms, body),
        f"{record.author} signed another content than the log recorded.",
    )
    named = record.incident if case.opened is None else case.opened.incident
    if case.opened is not None or not record.kind.startswith("report."):
        require(act.incident == named, f"{record.author} named another incident than the log says.")
    if act.incident == "new" and isinstance(record, Recorded) and record.rule.opens_incident:
        require(
            record.incident == incident_id(record.id), "The record did not open the new incident that it asked for."
        )
    case.say(f"{record.author} signed the submission; its id is recomputed from the envelope.")
    if isinstance(record.terms, AdmitMotion | RekeyMotion):
        _possession(case, record.terms)
    check_issuer(case, record.author)


def _possession(case: Case, terms: AdmitMotion | RekeyMotion) -> None:
    """Each new key signed that its holder has it (spec 8)."""
    statement = admission_statement(case.policy.genesis, terms.member, terms.keys, terms.expires)
    keys = terms.keys.all()
    require(
        len(keys) == len(terms.proofs)
        and all(
            verify_signature(bytes.fromhex(key), statement, bytes.fromhex(proof))
            for key, proof in zip(keys, terms.proofs, strict=True)
        ),
        f"A proof of possession of a key of {terms.member} does not hold.",
    )
    case.say(f"{terms.member} proved possession of its {len(keys)} keys.")


def check_issuer(case: Case, issuer: str) -> None:
    """The author, or for what a peer sent the carrier, is one of the rule's issuers."""
    issuers = case.rule.issuers
    roles = next((one.roles for one in case.at_opening.members.members if one.id == issuer), [])
    if "member" in issuers or any(role in issuers for role in roles):
        case.say(f"{issuer} may issue it: {names(sorted(set(issuers) & {*roles, 'member'}))}.")
        return
    by_office = [one for one in issuers if one in ("lead", "party")]
    require(bool(by_office), f"{issuer} may not issue {case.record.kind} under this rule.")
    case.say(f"{issuer} issued it as {' or '.join(by_office)}; that it was, the members found, this file cannot show.")


def check_electorate(case: Case) -> None:
    """Recompute who may judge and who may veto, the size and the need (spec 6.3, 6.4)."""
    record, roster, rule = case.record, case.at_opening.members, case.rule
    joins = None if case.opened is None else case.opened.joins
    expected = expected_electors(record, rule, case.charter.charter, roster, case.member)
    missing = [one for one in expected.members if one not in record.electorate]
    require(
        record.electorate == [one for one in expected.members if one in record.electorate],
        "The electorate holds somebody whom the rule does not let judge, or is not sorted.",
    )
    require(
        not missing or bool(expected.unless), f"The electorate leaves out {names(missing)}, who may judge by the rule."
    )
    require(record.size == len(record.electorate) + expected.suspended, "The size is not that of the electorate.")
    threshold = rule.threshold
    need = 0
    if threshold is not None:
        at_least = min(threshold.at_least, record.size) if record.kind in CAPPED else threshold.at_least
        need = smallest(threshold.num, threshold.den, threshold.strict, at_least, record.size)
    require(record.need == need, f"The record says that {record.need} must endorse; the rule says {need}.")
    if threshold is None:
        case.say("It takes no ballots: by its rule the author, or the proof, suffices.")
    else:
        left = f"; {names(missing)} left out: {expected.unless}, as the members found" if missing else ""
        case.say(
            f"Electorate recomputed from the roster: {names(record.electorate)}; {need} of {record.size} needed{left}."
        )
    if case.opened is None:
        return
    vetoers = expected_vetoers(record, rule, roster, case.member)
    eligible = case.opened.eligible
    require(eligible == [one for one in vetoers if one in eligible], "Somebody may veto whom the rule does not let.")
    missing = [one for one in vetoers if one not in eligible]
    require(
        len(missing) <= (joins is not None),
        f"{names(missing)} could not veto, though the rule lets them and they do not lead.",
    )


def check_ballots(case: Case) -> None:
    """Every ballot of the certificate: signed by an elector with the key of its epoch, for this message, once."""
    record = case.record
    members = [ballot.member for ballot in record.ballots]
    require(len(set(members)) == len(members), "A member has two ballots in the certificate.")
    for ballot in record.ballots:
        require(ballot.member in record.electorate, f"{ballot.member} judged without being an elector.")
        _ballot(case, ballot)
    late = [ballot.late for ballot in record.ballots]
    require(late == sorted(late), "A ballot marked late stands before one that counted.")
    supervised = case.opened is not None and bool(case.opened.eligible) and case.rule.veto is not None
    require(not any(late) or supervised, "A ballot is marked late, though this record was final when it was decided.")
    if record.rule.threshold is not None:
        case.say(f"{count(len(members), 'ballot')} signed by electors, each with its key of that epoch.")


def _ballot(case: Case, ballot: Ballot) -> None:
    record = case.record
    roster = case.proven.roster(ballot.epoch)
    require(
        case.at_opening.epoch <= ballot.epoch <= case.place.epoch,
        f"The ballot of {ballot.member} is of epoch {ballot.epoch}, in which the record was not open.",
    )
    if record.kind.startswith("motion.") and ballot.member == record.author:
        # A mover's submission, checked already, is its endorsement (spec 6.3).
        expected = Ballot(record.author, "endorse", None, "officer", record.act or "", case.at_opening.epoch, False)
        require(ballot == expected, "The mover's ballot is not the endorsement that its submission is.")
        return
    act, signed = case.acts.take(Judge, ballot.member, ballot.act)
    by_member(signed, roster)
    in_time(signed, record.opened, record.at)
    require(
        (act.message, act.verdict, act.code, act.by) == (record.id, ballot.verdict, ballot.code, ballot.by),
        f"{ballot.member} signed another ballot than the certificate says.",
    )


def check_outcome(case: Case) -> None:
    """The tally, and that what the log says became of the message follows from it (spec 6.2, 6.4)."""
    record = case.record
    counted = [ballot for ballot in record.ballots if not ballot.late]
    endorsed = sum(1 for ballot in counted if ballot.verdict == "endorse")
    rejected = sum(1 for ballot in counted if ballot.verdict == "reject")
    tally = f"{endorsed} endorse, {rejected} reject, {len(counted) - endorsed - rejected} abstain"
    if len(counted) < len(record.ballots):
        tally += f", {len(record.ballots) - len(counted)} late and not counted"
    if isinstance(record, Recorded):
        require(endorsed >= record.need, f"Only {endorsed} endorsed; {record.need} are needed to record it.")
        require(record.by is None and record.code is None, "A record is not ended by anybody.")
    elif isinstance(record, Rejected | Lapsed):
        stopped = record.need <= record.size and record.size - rejected < record.need
        require(endorsed < record.need, f"{endorsed} endorsed, which passes it; the log says otherwise.")
        require(
            stopped == isinstance(record, Rejected),
            "Whether it was rejected or lapsed does not follow from the ballots.",
        )
        unjudged = len(record.electorate) - len(record.ballots)
        ends = None if case.opened is None else case.opened.ends
        require(
            endorsed + unjudged < record.need or (ends is not None and record.at >= ends),
            "It ended before its deadline, though the ballots still out could have passed it.",
        )
    if record.rule.threshold is not None:
        case.say(f"Tally recomputed: {tally}; {record.need} of {record.size} needed.")
    if isinstance(record, Recorded) and case.opened is not None:
        _deadline(case, case.opened)
    _ended(case)
    _concurrences(case)


def _deadline(case: Case, opened: Opened) -> None:
    record, rule = case.record, case.rule
    require(opened.notice is None or record.at >= opened.notice, "It was decided before its notice was over.")
    if rule.veto is not None and opened.eligible:
        _veto_window(case, opened)
    elif opened.ends is not None and record.at >= opened.ends:
        moved = record.at > opened.ends + MAX_LATE_MS
        waited = isinstance(record.terms, UNSEATS)
        # A notice over before the deadline is tallied first, though one block reaches both of them (spec 4.1).
        require(
            moved or waited or opened.notice is not None,
            f"It was decided at {when(record.at)}, after its deadline of {when(opened.ends)}.",
        )
        why = f"An outage moved its deadline of {when(opened.ends)} (spec F4)" if moved else "At the end of its notice"
        if waited:
            why = f"Passed, it waited beyond its deadline of {when(opened.ends)} for a seal or an outage (11.4, F4)"
        case.say(f"{why}: decided {when(record.at)}.")
    elif opened.ends is not None:
        case.say(f"Decided before the deadline of {when(opened.ends)}.")


def _veto_window(case: Case, opened: Opened) -> None:
    record, rule = case.record, case.rule
    window = 0 if rule.veto is None else rule.veto.window_s
    waiting = [one for one in opened.eligible if one not in record.vetoers]
    if not waiting:
        case.say(f"All who may veto concurred: {names(opened.eligible)}.")
        return
    if record.at >= opened.at + window * 1000:
        case.say(f"{names(waiting)} had the veto window of {window} s and did not veto.")
        return
    active = [one.id for one in case.place.members.members if one.status == "active"]
    able = [one for one in waiting if one in active]
    require(
        bool(record.vetoers) and len(able) <= (opened.joins is not None),
        f"It was recorded before the veto window was over, though {names(able)} had not concurred.",
    )
    case.say(f"{names(record.vetoers)} concurred; {names(waiting)} could no longer veto.")


def _ended(case: Case) -> None:
    """Veto and withdrawal: who, and the signed act if it is shown; the leaf names no act digest of it."""
    record = case.record
    eligible = [] if case.opened is None else case.opened.eligible
    if isinstance(record, Vetoed):
        require(record.by in eligible and record.by not in record.vetoers, f"{record.by} had no veto on this message.")
        acts = [one for one in case.acts.find(VetoAct, record.by or "") if one[0].message == record.id]
        require(
            all(act.code == record.code for act, _ in acts), f"{record.by} vetoed with another code than the log says."
        )
        _shown(case, [signed for _, signed in acts], VetoAct, f"{record.by} vetoed it ({record.code})", exact=True)
    elif isinstance(record, Withdrawn):
        require(record.by == record.author, "It was withdrawn by somebody else than its author.")
        withdrawn = [one for one in case.acts.find(Withdraw, record.author) if one[0].message == record.id]
        _shown(case, [signed for _, signed in withdrawn], Withdraw, f"{record.author} withdrew it", exact=True)


def _concurrences(case: Case) -> None:
    eligible = [] if case.opened is None else case.opened.eligible
    require(
        case.record.vetoers == [one for one in eligible if one in case.record.vetoers],
        "Somebody concurred who could not veto.",
    )
    for one in case.record.vetoers:
        acts = [signed for act, signed in case.acts.find(Concur, one) if act.message == case.record.id]
        _shown(case, acts, Concur, f"{one} concurred", exact=False)


def _shown(case: Case, acts: list[SignedAct], kind: type, said: str, *, exact: bool) -> None:
    if not acts:
        case.say(f"{said}, says the log; the signed act is not in this file.")
    for signed in acts:
        case.acts.take(kind, signed.header.author, signed.digest, signed.envelope)
        in_time(signed, case.record.at if exact else case.record.opened, case.record.at)
        by_member_in(signed, case.proven.rosters_between(case.at_opening.epoch, case.place.epoch))
        case.say(f"{said}: signed.")
