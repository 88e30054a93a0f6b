"""Protocol numbers: which is in force, and how the next one comes to be (spec 8.5)."""

from tocsin.kernel.acts import Ready
from tocsin.kernel.draft import Draft
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Message, Upgrade
from tocsin.kernel.state import State
from tocsin.kernel.statements import signs

PROTOCOLS: tuple[int, ...] = (1,)
"""The numbers whose rules this program has."""


class UnknownProtocol(Exception):
    """The next block is under rules that this program does not have; the node must stop before it."""


def in_force(state: State) -> int:
    """The protocol number under which the next block, that of height `meta.height` + 1, is made."""
    return state.meta.protocol


def require_known(state: State) -> None:
    """Raise UnknownProtocol if the next block is under rules that this program does not have."""
    number = in_force(state)
    if number not in PROTOCOLS:
        known = ", ".join(map(str, PROTOCOLS))
        raise UnknownProtocol(
            f"{state.meta.origin} is under protocol {number} from block {state.meta.height + 1} on, and this program "
            f"knows {known} only. It stops before that block; install a release that knows protocol {number}."
        )


def may_come(draft: Draft, protocol: int) -> bool:
    """Whether a motion may propose this number: a later one than is in force, and not the one that waits already."""
    row = draft.get("upgrade", "")
    return protocol > draft.meta.protocol and (row is None or row.protocol != protocol)


def plan(draft: Draft, message: Message, protocol: int) -> None:
    """Effect of `motion.upgrade`: the number waits for its `ready`; it takes the place of one that waits."""
    draft.put("upgrade", "", Upgrade(protocol, message.id, []))


def ready(draft: Draft, author: str, act: Ready) -> Reason:
    """The author's node knows the rules of the number that waits."""
    row = draft.get("upgrade", "")
    if row is None or row.protocol != act.protocol:
        return Reason.NO_SUCH_UPGRADE
    if author in row.ready:
        return Reason.ALREADY_READY
    draft.edit("upgrade", "").ready = sorted([*row.ready, author])
    return Reason.ACCEPTED


def decide(draft: Draft) -> bool:
    """At the block's end: the number is in force from the next block on if more than two thirds of the signers are
    ready, so that those who can go on make a quorum on every engine. Whether it came into force."""
    row = draft.get("upgrade", "")
    if row is None:
        return False
    signers = [one.id for one in draft.next_members() if signs(one)]
    able = sum(1 for one in signers if one in row.ready)
    if 3 * able <= 2 * len(signers):
        return False
    draft.meta.protocol = row.protocol
    draft.drop("upgrade", "")
    return True
