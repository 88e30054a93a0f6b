"""Handing over: the next change of the signers waits until the last one is proven final (spec 11.4)."""

from tocsin.kernel.acts import ExpelMotion, Leave, RekeyMotion, Seal, SuspendMotion, Terms
from tocsin.kernel.draft import Draft
from tocsin.kernel.genesis import Check
from tocsin.kernel.quorum import finality
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Member, PendingHandover
from tocsin.kernel.state import State
from tocsin.kernel.statements import Statement, cosigners_of, read_statement, signed_by_log, signers_of, signs
from tocsin.tlog import CheckpointError, NoteError, checkpoint, cosignature, note

WAIT_MS = 7 * 86_400 * 1000
"""Waiting ends here: a network whose signers of before are lost must be able to go on without them."""

UNSEATS = (ExpelMotion, RekeyMotion, SuspendMotion)
"""Motions after which their subject no longer signs (spec 8.3)."""


def _found(state: State, act: Seal) -> tuple[PendingHandover, Statement, list[Check]] | None:
    try:
        size = checkpoint.parse(note.parse(act.checkpoint.encode()).text).size
    except (NoteError, CheckpointError, ValueError):
        return None
    row = state.handovers.get(str(size - 2))
    if row is None:
        return None
    statement = read_statement(act.checkpoint, state.meta.origin, cosigners_of(state.meta.origin, row.signers))
    own = None if statement is None else signed_by_log(statement, state.meta.log_key)
    return None if statement is None or own is None else (row, statement, own)


def checks(state: State, act: Seal) -> list[Check]:
    """The signatures to verify: the log's own, then the cosignatures of the signers of before."""
    found = _found(state, act)
    if found is None:
        return []
    _, statement, own = found
    return own + [Check(line.key, line.message, line.signature) for line in statement.lines]


def take(draft: Draft, act: Seal, verdicts: list[bool]) -> Reason:
    """Take the proof that a change of the signers became final; what waited for it goes on in this block."""
    found = _found(draft.state, act)
    if found is None:
        return Reason.NOT_A_SEAL
    row, statement, own = found
    if draft.get("handover", str(row.index)) is None or not all(verdicts):
        return Reason.NOT_A_SEAL
    if len(cosignature.count(statement.lines, verdicts[len(own) :])) < finality(len(row.signers)):
        return Reason.NOT_A_SEAL
    over(draft, row.index)
    return Reason.ACCEPTED


def over(draft: Draft, index: int) -> None:
    """This handover is waited for no longer. The motions that waited are tallied when it was the last."""
    draft.drop("handover", str(index))
    if draft.unsealed:
        return
    for name in draft.state.based:
        message = draft.message(name)
        if message is not None and isinstance(message.terms, UNSEATS):
            draft.touch(message)


def waits(draft: Draft, terms: Terms | None) -> bool:
    """Whether a motion that has passed must wait, because its effect would change the signers again."""
    if not isinstance(terms, UNSEATS) or not draft.unsealed:
        return False
    subject = draft.next_member(terms.member)
    return subject is not None and signs(subject)


def somebody_signs_without(draft: Draft, member: str) -> bool:
    """Whether somebody's finality key still counts once this member's does not, and those leaving have left."""
    leaving = [who for who, act in draft.last if isinstance(act, Leave)]
    return any(signs(one) and one.id != member and one.id not in leaving for one in draft.next_members())


def hand_over(draft: Draft, index: int) -> None:
    """Remember who signed before the roster leaf at `index`, if that is somebody else than now."""
    before = signers_of(draft.state.members)
    members: dict[str, Member] = {one.id: one for one in draft.next_members()}
    if before and before != signers_of(members):
        draft.put("handover", str(index), PendingHandover(index, before, draft.at + WAIT_MS, draft.number()))
