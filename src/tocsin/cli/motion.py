"""`tocsin motion`: move, and vote on, what changes the network itself: members and the protocol."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from tocsin.cli.acting import Handed, act, add_seat, load, membership, state
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.kernel import upgrade
from tocsin.kernel.acts import Act, ExpelMotion, Judge, MotionTerms, Ready, Standing, Submit, UpgradeMotion
from tocsin.kernel.words import Verdict
from tocsin.node import ceremony

_RUNNING = ("open", "endorsed")


def add(verbs: Any) -> None:
    """Add the verb with its actions."""
    motion = verbs.add_parser(
        "motion", help="change the network: let in, expel, upgrade; and vote on it", epilog="See docs/operating."
    )
    actions = motion.add_subparsers(required=True, metavar="ACTION")
    admit = _action(actions, "admit", "move to let in who made an offer", run_admit, "admit node yanshui.founder")
    admit.add_argument("offer", type=Path, metavar="FILE", help="made by `tocsin founding offer --genesis`")
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
    use = membership(load(options.dir), options.network)
    try:
        offer = ceremony.read_offer(options.offer)
        terms = ceremony.admit_motion(offer, state(load(options.dir), use.origin, "meta").meta.genesis)
    except ceremony.CeremonyError as error:
        raise Failure(str(error)) from error
    return _moved(options, "motion.admit", terms)


def run_expel(options: argparse.Namespace) -> int:
    """Move `motion.expel`."""
    config = load(options.dir)
    member = state(config, membership(config, options.network).origin, "member").members.get(options.member)
    if member is None:
        raise Failure(f"There is no member {options.member}; `tocsin node status` lists those that sign.")
    return _moved(options, "motion.expel", ExpelMotion(options.member, Standing(member.roles, member.status)))


def run_upgrade(options: argparse.Namespace) -> int:
    """Move `motion.upgrade`."""
    config = load(options.dir)
    meta = state(config, membership(config, options.network).origin, "meta").meta
    return _moved(options, "motion.upgrade", UpgradeMotion(meta.charter, options.protocol))


def run_list(options: argparse.Namespace) -> int:
    """Open motions with what they ask for and who endorsed."""
    config = load(options.dir)
    messages = state(config, membership(config, options.network).origin, "message").messages
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
    config = load(options.dir)
    messages = state(config, membership(config, options.network).origin, "message").messages
    found = [id for id in messages if id.startswith(options.message)]
    if len(found) != 1:
        raise Failure(f"{len(found)} messages begin with {options.message}; see `tocsin motion list`.")
    handed = act(options, [Judge(found[0], options.verdict, None, "officer", None, None)])
    return _said(options, handed, {"message": found[0]}, f"Taken in block {handed.height}.")


def run_ready(options: argparse.Namespace) -> int:
    """`ready`, which only who has the rules may say: a node without them would stop."""
    if options.protocol not in upgrade.PROTOCOLS:
        known = ", ".join(map(str, upgrade.PROTOCOLS))
        raise Failure(f"This program knows the rules of {known} only; install a release that knows {options.protocol}.")
    handed = act(options, [Ready(options.protocol)])
    return _said(options, handed, {}, f"Taken in block {handed.height}.")


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
