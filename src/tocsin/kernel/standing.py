"""Acts of a member about itself: rotate, leave, join, present (spec 5.8, 5.10, 8.3)."""

from msgspec.structs import replace

from tocsin.kernel import incidents, messages, seals
from tocsin.kernel.acts import Join, Leave, Present, Rotate
from tocsin.kernel.draft import Draft
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import UsedKey
from tocsin.kernel.statements import signs
from tocsin.tlog import is_small_order

DAY_MS = 86_400_000
HEAD = 100
"""A node is at the head if it is at most so many blocks behind (spec 8.3)."""


def rotate(draft: Draft, author: str, act: Rotate, signed_by_root: bool, proof: bool) -> Reason:
    """Take a key out of use and another in; in force from the next block (spec F1)."""
    if not signed_by_root:
        return Reason.NOT_AUTHORS_KEY
    if is_small_order(bytes.fromhex(act.key)):
        return Reason.WEAK_KEY
    if draft.get("key", act.key) is not None:
        return Reason.KEY_USED
    if not proof:
        return Reason.BAD_PROOF_OF_POSSESSION
    if act.which in ("finality", "validator") and _waits(draft, author):
        return Reason.UNSEALED
    draft.put("key", act.key, UsedKey(act.key, author))
    draft.last.append((author, act))
    return Reason.ACCEPTED


def leave(draft: Draft, author: str) -> Reason:
    """Leave at the block's end, unless nobody would be left to make anything final."""
    if any(who == author and isinstance(act, Leave) for who, act in draft.last):
        return Reason.DUPLICATE_IN_BLOCK
    if not seals.somebody_signs_without(draft, author):
        return Reason.LAST_SIGNER
    if _waits(draft, author):
        return Reason.UNSEALED
    draft.last.append((author, Leave()))
    return Reason.ACCEPTED


def join(draft: Draft, author: str, act: Join) -> Reason:
    """From the block's end on the author's finality and validator keys count (spec 8.3)."""
    row = draft.next_member(author)
    if row is None or row.status != "active":
        return Reason.AUTHOR_NOT_ACTIVE
    if row.joined or any(who == author and isinstance(one, Join) for who, one in draft.last):
        return Reason.ALREADY_JOINED
    if not draft.meta.height - HEAD <= act.height <= draft.meta.height:
        return Reason.NOT_AT_HEAD
    if draft.unsealed:
        return Reason.UNSEALED
    draft.last.append((author, act))
    return Reason.ACCEPTED


def _waits(draft: Draft, author: str) -> bool:
    row = draft.next_member(author)
    return draft.unsealed and row is not None and signs(row)


def present(draft: Draft, author: str, act: Present) -> Reason:
    """The member's data reach this day: the weekly zero report."""
    if act.through > draft.at // DAY_MS + 1:
        return Reason.DATA_FROM_FUTURE
    account = draft.account(author)
    if account.through is not None and act.through < account.through:
        return Reason.THROUGH_GOES_BACK
    account.through = act.through
    return Reason.ACCEPTED


def apply(draft: Draft, author: str, act: Rotate | Leave | Join) -> None:
    """Step 4: what members do about themselves, in block order, never void (spec 6.6, F1)."""
    row = draft.edit("member", author)
    draft.roster_changed = True
    if isinstance(act, Rotate):
        row.keys = replace(row.keys, **{act.which: act.key})
    elif isinstance(act, Join):
        row.joined = row.status == "active" and author not in draft.rekeyed
    else:
        row.status, row.until, row.joined = "left", None, False
        incidents.vacate_for(draft, author)
    messages.void_stale(draft)
