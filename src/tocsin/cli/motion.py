"""`tocsin motion`: move, and vote on, what changes the network itself or an incident."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any, get_args

import msgspec

from tocsin.cli.acting import act, add_action, named, said, seat
from tocsin.cli.charter import load as load_charter
from tocsin.cli.output import Failure, print_json
from tocsin.cli.verify import read
from tocsin.kernel import upgrade
from tocsin.kernel.acts import (
    AdmitMotion,
    CharterMotion,
    CloseMotion,
    ExpelMotion,
    FeaturesMotion,
    Judge,
    LeadMotion,
    MotionTerms,
    PeerEntry,
    PeerMotion,
    PeerTerms,
    Ready,
    ReinstateMotion,
    RekeyMotion,
    RolesMotion,
    StageMotion,
    Standing,
    Submit,
    SuspendMotion,
    UpgradeMotion,
)
from tocsin.kernel.genesis import MAX_GENESIS, Founder, GenesisError, decode_genesis
from tocsin.kernel.incidents import features_digest
from tocsin.kernel.motions import entry_digest, keys_digest
from tocsin.kernel.rows import Incident, Member
from tocsin.kernel.words import Relation, Role, Verdict
from tocsin.node import ceremony
from tocsin.node.relays.edges import entry_of_founders

_DAY_S = 86_400
_RUNNING = ("open", "endorsed")

_action = partial(add_action, "motion")


def add(verbs: Any) -> None:
    """Add the verb with its actions."""
    motion = verbs.add_parser(
        "motion", help="change the network or an incident by vote: members, keys, peers, rules, stages; and vote",
        epilog="See docs/operating, and docs/reference/acts.md for each motion.",
    )
    actions = motion.add_subparsers(required=True, metavar="ACTION")
    admit = _action(actions, "admit", "move to let in who made an offer", run_admit, "admit node yanshui.founder")
    admit.add_argument("offer", type=Path, metavar="FILE", help="made by `tocsin founding offer --genesis`")
    rekey = _action(actions, "rekey", "move to take the new keys of a member", run_rekey, "rekey node houbi.founder")
    rekey.add_argument("offer", type=Path, metavar="FILE", help="made with the new keys, by the same command")
    expel = _action(actions, "expel", "move to expel a member", run_expel, "expel node beimen")
    suspend = _action(
        actions, "suspend", "move to suspend a member for some days", run_suspend, "suspend node beimen --days 30"
    )
    suspend.add_argument("--days", type=int, required=True, help="90 at most")
    reinstate = _action(
        actions, "reinstate", "move to take back who was suspended, left or was expelled", run_reinstate,
        "reinstate node beimen",
    )  # fmt: skip
    roles = _action(actions, "roles", "move to give a member other roles", run_roles, "roles node beimen --role voter")
    roles.add_argument("--role", action="append", required=True, choices=get_args(Role), help="again for more")
    for one in (expel, suspend, reinstate, roles):
        one.add_argument("member")
    _add_peer(actions)
    changed = _action(actions, "charter", "move to another charter", run_charter, "charter node charter.json")
    changed.add_argument("charter", metavar="CHARTER", help="a file")
    raised = _action(actions, "upgrade", "move to the rules of a later protocol number", run_upgrade, "upgrade node 2")
    raised.add_argument("protocol", type=int)
    _add_of_incident(actions)
    _action(actions, "list", "motions that are open, by their ids", run_list, "list node")
    vote = _action(actions, "vote", "vote on a message", run_vote, "vote node 3f2a endorse")
    vote.add_argument("message", help="its id, or how it begins")
    vote.add_argument("verdict", choices=[one for one in get_args(Verdict) if one != "abstain"])
    ready = _action(actions, "ready", "say that our node has the rules voted for", run_ready, "ready node 2")
    ready.add_argument("protocol", type=int)


def _add_peer(actions: Any) -> None:
    peer = _action(
        actions, "peer", "move to know another network, to pin it anew, to thaw or remove it", run_peer,
        "peer node add health.example/tw --genesis tw.genesis --relation parent",
    )  # fmt: skip
    peer.add_argument("do", choices=("add", "repin", "thaw", "remove"))
    peer.add_argument("origin")
    peer.add_argument("--genesis", type=Path, help="of that network, to pin it at its founding")
    peer.add_argument("--relation", choices=get_args(Relation))
    peer.add_argument("--represented-by", metavar="MEMBER", help="of ours, who comes from there")
    peer.add_argument("--per-week", type=int, default=0, help="messages it may send (0)")
    peer.add_argument("--min-endorsers", type=int, default=1, help="who must stand behind each (1)")
    peer.add_argument("--max-age", type=int, default=7, metavar="DAYS", help="of a message that is taken (7)")
    peer.add_argument("--entry", type=Path, metavar="FILE", help="the entry as JSON, to pin it anywhere else")


def _add_of_incident(actions: Any) -> None:
    stage = _action(actions, "stage", "move an incident to another stage", run_stage, "stage node 3f2a response")
    lead = _action(actions, "lead", "stand to lead an incident, or move that its lead go", run_lead, "lead node 3f2a")
    lead.add_argument("--vacate", action="store_true", help="that its lead go")
    features = _action(
        actions, "features", "move to describe an incident otherwise", run_features,
        "features node 3f2a --category icd11:1D2Z --severity 3 --area iso3166-2:TW-TNN",
    )  # fmt: skip
    features.add_argument("--category", help="scheme:code (as it is)")
    features.add_argument("--severity", type=int, choices=range(5), help="(as it is)")
    features.add_argument("--area", action="append", help="scheme:code; again for more (as they are)")
    close = _action(actions, "close", "move to close an incident", run_close, "close node 3f2a")
    close.add_argument("--duplicate-of", metavar="INCIDENT", help="it is the same as that one")
    for one in (stage, lead, features, close):
        one.add_argument("incident", help="its id, or how that begins")
    stage.add_argument("to")


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
    return _moved(options, "motion.expel", ExpelMotion(options.member, _standing(options)))


def run_suspend(options: argparse.Namespace) -> int:
    """Move `motion.suspend`."""
    return _moved(
        options, "motion.suspend", SuspendMotion(options.member, _standing(options), options.days * _DAY_S)
    )


def run_reinstate(options: argparse.Namespace) -> int:
    """Move `motion.reinstate`."""
    return _moved(options, "motion.reinstate", ReinstateMotion(options.member, _standing(options)))


def run_roles(options: argparse.Namespace) -> int:
    """Move `motion.roles`."""
    roles = sorted(set(options.role))
    return _moved(options, "motion.roles", RolesMotion(options.member, _standing(options), roles))


def run_charter(options: argparse.Namespace) -> int:
    """Move `motion.charter`."""
    return _moved(options, "motion.charter", CharterMotion(seat(options).meta.charter, load_charter(options.charter)))


def run_peer(options: argparse.Namespace) -> int:
    """Move `motion.peer`."""
    known = seat(options, "peer").peers.get(options.origin)
    base = None if known is None else entry_digest(known.entry)
    entry = _entry(options) if options.do in ("add", "repin") else None
    return _moved(options, "motion.peer", PeerMotion(options.do, options.origin, base, entry))


def _entry(options: argparse.Namespace) -> PeerEntry:
    if options.entry is not None:
        try:
            return msgspec.json.decode(read(options.entry, MAX_GENESIS), type=PeerEntry)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Failure(f"{options.entry} is no entry of a peer: {error}.") from error
    if options.genesis is None or options.relation is None:
        raise Failure("Name the genesis of that network by --genesis, and what it is to ours by --relation.")
    try:
        genesis = decode_genesis(read(options.genesis, MAX_GENESIS))
    except GenesisError as error:
        raise Failure(f"{options.genesis}: {error}") from error
    if genesis.origin != options.origin:
        raise Failure(f"{options.genesis} is of {genesis.origin}, not of {options.origin}.")
    quota = PeerTerms(options.per_week, options.min_endorsers, options.max_age * _DAY_S)
    return entry_of_founders(genesis, options.relation, options.represented_by, quota)


def run_stage(options: argparse.Namespace) -> int:
    """Move `motion.stage`."""
    incident = _incident(options)
    return _moved(options, "motion.stage", StageMotion(incident.stage, options.to), incident.id)


def run_lead(options: argparse.Namespace) -> int:
    """Move `motion.lead`."""
    incident = _incident(options)
    terms = LeadMotion("vacate" if options.vacate else "stand", incident.lead)
    return _moved(options, "motion.lead", terms, incident.id)


def run_features(options: argparse.Namespace) -> int:
    """Move `motion.features`."""
    incident = _incident(options)
    terms = FeaturesMotion(
        features_digest(incident), options.category or incident.category,
        incident.severity if options.severity is None else options.severity,
        sorted(set(options.area or incident.areas)),
    )  # fmt: skip
    return _moved(options, "motion.features", terms, incident.id)


def run_close(options: argparse.Namespace) -> int:
    """Move `motion.close`."""
    incident = _incident(options)
    return _moved(options, "motion.close", CloseMotion(incident.stage, options.duplicate_of), incident.id)


def _incident(options: argparse.Namespace) -> Incident:
    incidents = seat(options, "incident").incidents
    id = named(incidents, options.incident, "incident")
    if id not in incidents:
        raise Failure(f"There is no live incident {id} here.")
    return incidents[id]


def run_upgrade(options: argparse.Namespace) -> int:
    """Move `motion.upgrade`."""
    meta = seat(options).meta
    return _moved(options, "motion.upgrade", UpgradeMotion(meta.charter, options.protocol))


def run_list(options: argparse.Namespace) -> int:
    """Open motions with what they ask for and who endorsed."""
    messages = seat(options, "message").messages
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
    message = named(seat(options, "message").messages, options.message, "message")
    handed = act(options, [Judge(message, options.verdict, None, "officer", None, None)])
    return said(options, handed, {"message": message}, f"Taken in block {handed.height}.")


def run_ready(options: argparse.Namespace) -> int:
    """`ready`, which only who has the rules may say: a node without them would stop."""
    if options.protocol not in upgrade.PROTOCOLS:
        known = ", ".join(map(str, upgrade.PROTOCOLS))
        raise Failure(f"This program knows the rules of {known} only; install a release that knows {options.protocol}.")
    handed = act(options, [Ready(options.protocol)])
    return said(options, handed, {}, f"Taken in block {handed.height}.")


def _standing(options: argparse.Namespace) -> Standing:
    """What a motion about a member assumes."""
    member = _member(options, options.member)
    return Standing(member.roles, member.status)


def _member(options: argparse.Namespace, id: str) -> Member:
    member = seat(options, "member").members.get(id)
    if member is None:
        raise Failure(f"There is no member {id}; `tocsin node status --json` lists those that sign.")
    return member


def _offered(options: argparse.Namespace) -> tuple[Founder, ceremony.Admission]:
    try:
        offer = ceremony.read_offer(options.offer)
    except ceremony.CeremonyError as error:
        raise Failure(str(error)) from error
    genesis = seat(options).meta.genesis
    if offer.admission is None or offer.admission.genesis != genesis:
        raise Failure(
            f"{options.offer} is not for this network as it is; let {offer.founder.id} make one by "
            f"`tocsin founding offer --genesis`, with the genesis of digest {genesis}."
        )
    return offer.founder, offer.admission


def _moved(options: argparse.Namespace, kind: str, terms: MotionTerms, incident: str | None = None) -> int:
    handed = act(options, [Submit(kind, incident, None, terms, None)])
    message = handed.message()
    return said(options, handed, {"message": message}, f"Moved in block {handed.height}. Others vote on\n{message}")
