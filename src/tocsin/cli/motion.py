"""`tocsin motion`: move, and vote on, what changes the network itself: members and the protocol."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from tocsin.cli.acting import Handed, act, add_seat, load, membership, state
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.kernel import upgrade
from tocsin.kernel.acts import (
    Act,
    AdmitMotion,
    ExpelMotion,
    Judge,
    MotionTerms,
    Ready,
    RekeyMotion,
    Standing,
    Submit,
    UpgradeMotion,
)
from tocsin.kernel.genesis import Founder
from tocsin.kernel.motions import keys_digest
from tocsin.kernel.rows import Member
from tocsin.kernel.state import State
from tocsin.kernel.words import Verdict
from tocsin.node import ceremony

_RUNNING = ("open", "endorsed")


def add(verbs: Any) -> None:
    """Add the verb with its actions."""
    motion = verbs.add_parser(
        "motion", help="change the network: let in, expel, new keys, upgrade; and vote", epilog="See docs/operating."
    )
    actions = motion.add_subparsers(required=True, metavar="ACTION")
    admit = _action(actions, "admit", "move to let in who made an offer", run_admit, "admit node yanshui.founder")
    admit.add_argument("offer", type=Path, metavar="FILE", help="made by `tocsin founding offer --genesis`")
    rekey = _action(actions, "rekey", "move to take the new keys of a member", run_rekey, "rekey node houbi.founder")
    rekey.add_argument("offer", type=Path, metavar="FILE", help="made with the new keys, by the same command")
    expel = _action(actions, "expel", "move to expel a member", run_expel, "expel node beimen")
    expel.add_argument("member")
    raised = _action(actions, "upgrade", "move to the rules of a later protocol number", run_upgrade, "upgrade node 2")
    raised.add_argument("protocol", type=int)
    _action(actions, "list", "motions that are open, by their ids", run_list, "list node")
    vote = _action(actions, "vote", "vote on a message", run_vote, "vote node 3f2a... endorse")
    vote.add_argument("message", help="its id, or how it begins")
    vote.add_argument("verdict", choices=[one for one in get_args(Verdict) if one != "abstain"])
    ready = _action(actions, "ready", "say that our node has the rules voted for", run_ready, "ready node 2")
    ready.add_argument("protocol", type=int)


def _action(actions: Any, name: str, help: str, run: Any, example: str) -> Any:
    parser = actions.add_parser(name, help=help, epilog=f"Example: tocsin motion {example}")
    add_seat(parser)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run_admit(options: argparse.Namespace) -> int:
    """Move `motion.admit`."""
    founder, admission = _offered(options)
    terms = AdmitMotion(
        founder.id, founder.entity, founder.roles, founder.keys, admission.expires, admission.proofs
    )  # fmt: skip
    return _moved(options, "motion.admit", terms)


def run_rekey(options: argparse.Namespace) -> int:
    """Move `motion.rekey`."""
    founder, admission = _offered(options)
    base = keys_digest(_member(options, founder.id).keys)
    terms = RekeyMotion(founder.id, base, founder.keys, admission.expires, admission.proofs)
    return _moved(options, "motion.rekey", terms)


def run_expel(options: argparse.Namespace) -> int:
    """Move `motion.expel`."""
    member = _member(options, options.member)
    return _moved(options, "motion.expel", ExpelMotion(options.member, Standing(member.roles, member.status)))


def run_upgrade(options: argparse.Namespace) -> int:
    """Move `motion.upgrade`."""
    meta = _state(options).meta
    return _moved(options, "motion.upgrade", UpgradeMotion(meta.charter, options.protocol))


def run_list(options: argparse.Namespace) -> int:
    """Open motions with what they ask for and who endorsed."""
    messages = _state(options, "message").messages
    rows = [
        {"id": one.id, "kind": one.kind, "author": one.author, "terms": one.terms, "need": one.need,
         "endorsed": sorted(id for id, ballot in one.ballots.items() if ballot.verdict == "endorse")}
        for one in sorted(messages.values(), key=lambda one: one.number)
        if one.kind.startswith("motion.") and one.state in _RUNNING
    ]  # fmt: skip
    if options.json:
        print_json(rows)
    for row in [] if options.json else rows:
        print(f"{row['id']}  {row['kind']}  by {row['author']}, endorsed by {row['endorsed']}\n  {row['terms']}")
    return 0


def run_vote(options: argparse.Namespace) -> int:
    """A ballot."""
    messages = _state(options, "message").messages
    found = [id for id in messages if id.startswith(options.message)]
    if len(found) != 1:
        raise Failure(
            f"{len(found)} messages here begin with {options.message}; see `tocsin motion list`. "
            "One that was decided is not listed any more."
        )
    handed = act(options, [Judge(found[0], options.verdict, None, "officer", None, None)])
    return _said(options, handed, {"message": found[0]}, f"Taken in block {handed.height}.")


def run_ready(options: argparse.Namespace) -> int:
    """`ready`, which only who has the rules may say: a node without them would stop."""
    if options.protocol not in upgrade.PROTOCOLS:
        known = ", ".join(map(str, upgrade.PROTOCOLS))
        raise Failure(f"This program knows the rules of {known} only; install a release that knows {options.protocol}.")
    handed = act(options, [Ready(options.protocol)])
    return _said(options, handed, {}, f"Taken in block {handed.height}.")


def _state(options: argparse.Namespace, *tables: str) -> State:
    config = load(options.dir)
    return state(config, membership(config, options.network).origin, *tables)


def _member(options: argparse.Namespace, id: str) -> Member:
    member = _state(options, "member").members.get(id)
    if member is None:
        raise Failure(f"There is no member {id}; `tocsin node status --json` lists those that sign.")
    return member


def _offered(options: argparse.Namespace) -> tuple[Founder, ceremony.Admission]:
    try:
        offer = ceremony.read_offer(options.offer)
    except ceremony.CeremonyError as error:
        raise Failure(str(error)) from error
    genesis = _state(options).meta.genesis
    if offer.admission is None or offer.admission.genesis != genesis:
        raise Failure(
            f"{options.offer} is not for this network as it is; let {offer.founder.id} make one by "
            f"`tocsin founding offer --genesis`, with the genesis of digest {genesis}."
        )
    return offer.founder, offer.admission


def _moved(options: argparse.Namespace, kind: str, terms: MotionTerms) -> int:
    acts: Sequence[Act] = [Submit(kind, None, None, terms, None)]
    handed = act(options, acts)
    message = handed.message()
    return _said(options, handed, {"message": message}, f"Moved in block {handed.height}. Others vote on\n{message}")


def _said(options: argparse.Namespace, handed: Handed, more: dict[str, str], sentence: str) -> int:
    if options.json:
        print_json({"envelope": handed.digest, "height": handed.height, **more})
    else:
        print(sentence)
    return 0
