"""Which envelopes a block may hold (spec 3.1, spec 3.3)."""

from collections.abc import Sequence

from tocsin.kernel.acts import Rotate
from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.reasons import Reason
from tocsin.kernel.state import State
from tocsin.kernel.upgrade import require_known

MAX_AHEAD_MS = 3_600_000


def admit(draft: Draft, envelope: Envelope, signature_holds: bool, in_block: dict[str, int]) -> Reason:
    """Admit one envelope and charge its quota, or say why not; the quota is charged only after the
    signature, so that nobody can mute another. `in_block`: digests consumed so far, added to here."""
    header = envelope.header
    if header.genesis != draft.meta.genesis:
        return Reason.OTHER_GENESIS
    member = draft.member(header.author)
    if member is None:
        return Reason.UNKNOWN_AUTHOR
    if member.status != "active":
        return Reason.AUTHOR_NOT_ACTIVE
    if envelope.key != member.keys.act:
        if envelope.key != member.keys.root:
            return Reason.NOT_AUTHORS_KEY
        if not all(isinstance(act, Rotate) for act in envelope.acts):
            return Reason.ROOT_KEY_ONLY_ROTATES
    if not signature_holds:
        return Reason.BAD_SIGNATURE
    at = draft.at
    if not at < header.valid_until:
        return Reason.EXPIRED
    if header.valid_until > at + MAX_AHEAD_MS:
        return Reason.TOO_FAR_AHEAD
    if envelope.digest in draft.state.seen or envelope.digest in in_block:
        return Reason.SEEN_BEFORE
    limits = draft.charter.limits
    account = draft.get("account", header.author)
    quota, since = account.quota, account.quota_at
    if quota < limits.envelopes:
        back = (at - since) // limits.envelope_ms
        quota = min(limits.envelopes, quota + back)
        since += back * limits.envelope_ms
    if quota >= limits.envelopes:
        quota, since = limits.envelopes, at
    if quota < 1:
        # Nothing is written for what is not consumed (spec 3.3).
        return Reason.QUOTA
    account = draft.account(header.author)
    account.quota, account.quota_at = quota - 1, since
    in_block[envelope.digest] = header.valid_until
    return Reason.ACCEPTED


def refused(
    state: State, at: int, envelopes: Sequence[Envelope], verdicts: Sequence[Sequence[bool]]
) -> list[tuple[int, Reason]]:
    """(position, reason) of the envelopes that no block at `at` (ms) may hold: those that `apply_block` drops.

    No act has a say: whether an envelope is consumed follows from the state at the start of the block and from the
    envelopes before it (spec 3.1, spec 3.3). Raises UnknownProtocol as `apply_block` does.
    """
    require_known(state)
    return refuse(Draft(state, max(at, state.meta.at), {}), envelopes, verdicts, {})


def refuse(
    draft: Draft, envelopes: Sequence[Envelope], verdicts: Sequence[Sequence[bool]], in_block: dict[str, int]
) -> list[tuple[int, Reason]]:
    """The same in a block that is being made."""
    reasons = (admit(draft, one, row[0], in_block) for one, row in zip(envelopes, verdicts, strict=True))
    return [(position, reason) for position, reason in enumerate(reasons) if reason]
