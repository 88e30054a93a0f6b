"""`tocsin founding`: found a network among agencies whose keys stay at home, or ask to be let into one."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from tocsin import charters
from tocsin.cli.acting import clock
from tocsin.cli.charter import load as load_charter
from tocsin.cli.keystores import open_keystores
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.charter import Charter
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import Founder
from tocsin.kernel.words import Role
from tocsin.node import ceremony
from tocsin.node.home import places
from tocsin.node.keys import KeystoreError

_DAY_MS = 86_400_000

_T = TypeVar("_T")


def add(verbs: Any) -> None:
    """Add the verb with its five actions."""
    founding = verbs.add_parser(
        "founding",
        help="found a network among agencies whose keys stay at home",
        description="Each agency makes an offer; one assembles the genesis; each checks and signs it; all start.",
        epilog="Step by step: docs/operating/start.md",
    )
    actions = founding.add_subparsers(required=True, metavar="ACTION")

    offer = actions.add_parser(
        "offer", help="say which keys we have and where our node is",
        epilog="Example: tocsin founding offer node --network health.example/tw/tainan --member annan "
        "--entity agency:annan --role voter --url http://annan.example:8440 --comet annan.example:26656",
    )  # fmt: skip
    offer.add_argument("dir", type=Path, metavar="DIR", help="the node's directory")
    offer.add_argument("--network", required=True, help="origin of the network")
    offer.add_argument("--member", required=True, help="our id there")
    offer.add_argument("--entity", required=True, help="our legal entity, SCHEME:CODE")
    offer.add_argument("--role", action="append", required=True, choices=get_args(Role), help="again for more")
    offer.add_argument("--url", required=True, help="where our node will be reached, http://HOST:PORT")
    offer.add_argument("--comet", required=True, metavar="HOST:PORT", help="where our CometBFT will be reached")
    offer.add_argument("--genesis", type=Path, help="of the network that is to admit us, if it exists already")
    offer.add_argument("--days", type=int, default=14, help="how long it may take to admit us (14)")
    offer.add_argument("--output", type=Path, help="where to write it (MEMBER.founder)")
    _keystores(offer, "DIR/keys.json", required=False)
    add_json(offer)
    offer.set_defaults(run=run_offer)

    assemble = _papers(
        actions, "assemble", "make the genesis from all offers in a folder", run_assemble,
        "tocsin founding assemble papers --charter pilot",
    )  # fmt: skip
    assemble.add_argument("--charter", required=True, help=f"{', '.join(charters.names())}, or a file")
    assemble.add_argument("--parent", action="store_true", help="networks below will report to this one")

    _papers(
        actions, "check", "compare the genesis with all offers, and say its digest", run_check,
        "tocsin founding check papers",
    )  # fmt: skip

    sign = _papers(
        actions, "sign", "found with this genesis, by all of our keys", run_sign,
        "tocsin founding sign papers --member annan --digest 3f2a... --keystore node/keys.json",
    )  # fmt: skip
    sign.add_argument("--member", required=True, help="our id there")
    sign.add_argument("--digest", required=True, help="the genesis's, as the founders read it to each other")
    _keystores(sign, "the node's first, which gets the log's key", required=True)

    _papers(
        actions, "collect", "put everybody's signatures together", run_collect, "tocsin founding collect papers"
    )


def _papers(actions: Any, name: str, help: str, run: Any, example: str) -> Any:
    parser = actions.add_parser(name, help=help, epilog=f"Example: {example}")
    parser.add_argument("papers", type=Path, metavar="PAPERS", help="the folder with everybody's files")
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _keystores(parser: argparse.ArgumentParser, which: str, *, required: bool) -> None:
    parser.add_argument(
        "--keystore", type=Path, action="append", required=required,
        help=f"{which}; again if the root key lies in another",
    )  # fmt: skip
    parser.add_argument("--passphrase-file", type=Path)


def run_offer(options: argparse.Namespace) -> int:
    """Write our offer."""
    stores = [
        one.keys for one in open_keystores(options.keystore or [options.dir / "keys.json"], options.passphrase_file)
    ]
    comet = f"{node_id(places.node_key((options.dir / 'data').absolute(), options.network))}@{options.comet}"
    path = options.output or Path(f"{options.member}.founder")
    try:
        admission = None
        if options.genesis is not None:
            expires = clock() + options.days * _DAY_MS
            admission = ceremony.read_genesis(options.genesis).digest, expires
        offer = ceremony.make_offer(
            options.network, options.member, options.entity, options.role, options.url.rstrip("/"), comet,
            lambda role: ceremony.holder(stores, options.network, options.member, role).signer(
                options.network, options.member, role
            ),
            admission,
        )  # fmt: skip
        path.write_bytes(encode(offer))
    except (ceremony.CeremonyError, KeystoreError, OSError) as error:
        raise Failure(str(error)) from error
    if options.json:
        print_json({"offer": str(path), "member": options.member, "keys": offer.founder.keys, "comet": comet})
    else:
        print(f"{path} says who {options.member} is and by which keys it signs. It is no secret: give it to all.")
    return 0


def run_assemble(options: argparse.Namespace) -> int:
    """Write the genesis and the sealed key of the log."""
    genesis = _held(lambda: ceremony.assemble(options.papers, _fitting(options), clock()))
    if options.json:
        print_json({"genesis": str(options.papers / ceremony.GENESIS), "digest": genesis.digest})
    else:
        print(f"{options.papers / ceremony.GENESIS} has the digest\n{genesis.digest}\nGive the folder to everybody.")
    return 0


def _fitting(options: argparse.Namespace) -> Callable[[Sequence[Founder]], Charter]:
    def fit(founders: Sequence[Founder]) -> Charter:
        if options.charter not in charters.names():
            return load_charter(options.charter)
        voters = sum("voter" in one.roles for one in founders)
        supervisors = sum("supervisor" in one.roles for one in founders)
        try:
            fitted, notes = charters.for_network(options.charter, voters, supervisors, parent=options.parent)
        except charters.CharterError as error:
            raise Failure(str(error)) from error
        if not options.json:
            print("\n".join(notes), end="\n" if notes else "")
        return fitted

    return fit


def run_check(options: argparse.Namespace) -> int:
    """Exit 0 with the digest if the papers hold."""
    papers = _held(lambda: ceremony.check(options.papers))
    genesis = papers.genesis
    if options.json:
        print_json(
            {"origin": genesis.origin, "digest": genesis.digest, "charter": genesis.charter.name,
             "members": [{"id": one.id, "entity": one.entity, "roles": one.roles} for one in genesis.members]}
        )  # fmt: skip
        return 0
    print(f"{genesis.origin}, charter {genesis.charter.name}")
    for offer in papers.offers:
        founder = offer.founder
        print(f"  {founder.id}  {founder.entity}  {', '.join(founder.roles)}  {offer.url}")
    print(f"digest {genesis.digest}\nRead it to the others by telephone before you sign.")
    return 0


def run_sign(options: argparse.Namespace) -> int:
    """Write our signatures, and put the log's key into the first keystore."""
    opened = open_keystores(options.keystore, options.passphrase_file)
    stores = [one.keys for one in opened]
    log = _held(lambda: ceremony.sign(options.papers, options.member, options.digest, stores))
    stores[0].replace(ceremony.read_genesis(options.papers / ceremony.GENESIS).origin, "", "log", log)
    opened[0].save()
    path = options.papers / f"{options.member}.signatures"
    if options.json:
        print_json({"signatures": str(path)})
    else:
        print(f"Give {path} to the others. {opened[0].path} now holds the log's key too.")
    return 0


def run_collect(options: argparse.Namespace) -> int:
    """Write the founding."""
    _held(lambda: ceremony.collect(options.papers))
    path = options.papers / ceremony.FOUNDING
    if options.json:
        print_json({"founding": str(path)})
    else:
        print(f"{path} is whole: the network is founded. Everybody starts with the same two files.")
    return 0


def _held(call: Callable[[], _T]) -> _T:
    try:
        return call()
    except (ceremony.CeremonyError, KeystoreError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{error.filename} cannot be written: {error.strerror}; name another folder.") from error
