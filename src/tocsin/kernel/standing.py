"""Acts of a member about itself: rotate, leave, present (spec 5, spec 8)."""

from msgspec.structs import replace

from tocsin.kernel import incidents, messages
from tocsin.kernel.acts import Leave, Present, Rotate
from tocsin.kernel.draft import Draft
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import UsedKey
from tocsin.tlog import is_small_order

DAY_MS = 86_400_000


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
    draft.put("key", act.key, UsedKey(act.key, author))
    return Reason.ACCEPTED


def present(draft: Draft, author: str, act: Present) -> Reason:
    """The member's data reach this day: the weekly zero report."""
    if act.through > draft.at // DAY_MS + 1:
        return Reason.DATA_FROM_FUTURE
    account = draft.account(author)
    if account.through is not None and act.through < account.through:
        return Reason.THROUGH_GOES_BACK
    account.through = act.through
    return Reason.ACCEPTED


def apply(draft: Draft, author: str, act: Rotate | Leave) -> None:
    """Step 4: `leave` and `rotate`, in block order, never void (spec 6.6, F1)."""
    row = draft.edit("member", author)
    draft.roster_changed = True
    if isinstance(act, Rotate):
        row.keys = replace(row.keys, **{act.which: act.key})
    else:
        row.status, row.until = "left", None
        incidents.vacate_for(draft, author)
    messages.void_stale(draft)
