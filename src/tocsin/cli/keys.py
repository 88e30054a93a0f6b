"""`tocsin keys`: make and look at a keystore."""

import argparse
from pathlib import Path
from typing import Any

from tocsin.cli import rotate
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.client.signing import SeedSigner
from tocsin.node.ceremony import ROLES
from tocsin.node.keys import KeyRole, Keystore, KeystoreError, read_passphrase


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "keys",
        help="make a member's keys, or list those of a keystore",
        description="The passphrase comes from a file, TOCSIN_PASSPHRASE or a prompt, never from an argument.",
        epilog="Example: tocsin keys new keys.json --network health.example/tw/tainan --member annan",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make the four keys of a member", epilog=parser.epilog)
    new.add_argument("keystore", type=Path)
    new.add_argument("--network", required=True, help="origin of the network")
    new.add_argument("--member", required=True, help="id of the member")
    new.add_argument("--root", type=Path, metavar="KEYSTORE", help="another file for the root key, to be locked away")
    new.add_argument("--plain", action="store_true", help="write in plain text: for development only")
    new.add_argument("--passphrase-file", type=Path)
    add_json(new)
    new.set_defaults(run=run_new)
    rotate.add(actions)
    listing = actions.add_parser("list", help="list public keys", epilog="Example: tocsin keys list keys.json")
    listing.add_argument("keystore", type=Path)
    listing.add_argument("--passphrase-file", type=Path)
    add_json(listing)
    listing.set_defaults(run=run_list)


def run_new(options: argparse.Namespace) -> int:
    """Add keys to a keystore, made if it is missing."""
    try:
        passphrase = b"" if options.plain else read_passphrase(options.passphrase_file, "Passphrase: ", confirm=True)
        signers = {role: SeedSigner.generate() for role in ROLES}
        paths = {role: (options.root or options.keystore) if role == "root" else options.keystore for role in ROLES}
        for path in sorted(set(paths.values())):
            store = Keystore.open(path, lambda: passphrase) if path.exists() else Keystore()
            for role in (role for role in ROLES if paths[role] == path):
                store.add(options.network, options.member, role, signers[role])
            path.parent.mkdir(parents=True, exist_ok=True)
            if options.plain:
                store.save_plain(path)
            else:
                store.save(path, passphrase)
    except KeystoreError as error:
        raise Failure(str(error)) from error
    rows = [(options.network, options.member, role, signer.public_key) for role, signer in signers.items()]
    _show(rows, options.json)
    return 0


def run_list(options: argparse.Namespace) -> int:
    """Public keys only."""
    try:
        store = Keystore.open(options.keystore, lambda: read_passphrase(options.passphrase_file, "Passphrase: "))
    except KeystoreError as error:
        raise Failure(str(error)) from error
    _show([(key.network, key.member, key.role, key.public) for key in store.entries()], options.json)
    return 0


def _show(rows: list[tuple[str, str, KeyRole, str]], as_json: bool) -> None:
    if as_json:
        print_json([dict(zip(("network", "member", "role", "key"), row, strict=True)) for row in rows])
    else:
        for row in rows:
            print("  ".join(row))
