"""`tocsin keys rotate`: put new keys in the place of old ones (spec 8.3)."""

import argparse
import os
from pathlib import Path
from typing import Any, Literal, get_args

from tocsin.cli.acting import Refused, Unknown, genesis_at, hand_in
from tocsin.cli.keystores import Opened, open_keystore
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.client.signing import SeedSigner, rotation
from tocsin.kernel.reasons import Reason
from tocsin.node.keys import Keystore, KeystoreError

Turned = Literal["root", "act", "finality", "validator"]
"""Which keys can be rotated."""


def add(actions: Any) -> None:
    """Add the action."""
    rotate = actions.add_parser(
        "rotate", help="put new keys in the place of old ones, by the root key",
        epilog="Example: tocsin keys rotate node/keys.json --root root.json --network health.example/tw/tainan "
        "--member annan --role act --role finality --node http://127.0.0.1:8440",
    )  # fmt: skip
    rotate.add_argument("keystore", type=Path)
    rotate.add_argument("--network", required=True, help="origin of the network")
    rotate.add_argument("--member", required=True, help="id of the member")
    rotate.add_argument("--root", type=Path, metavar="KEYSTORE", help="where the root key is, if in another file")
    rotate.add_argument("--role", action="append", required=True, choices=get_args(Turned), help="again for more")
    rotate.add_argument("--node", required=True, metavar="URL", help="our node, or any other member's")
    rotate.add_argument("--passphrase-file", type=Path)
    add_json(rotate)
    rotate.set_defaults(run=run_rotate)


def run_rotate(options: argparse.Namespace) -> int:
    """New keys are on disk, beside the old, before they are sent: whatever happens, none that is in force is lost."""
    root_path: Path = options.root or options.keystore
    opened = {path: open_keystore(path, options.passphrase_file) for path in {options.keystore, root_path}}
    roles: list[Turned] = [role for role in get_args(Turned) if role in options.role]
    paths = {role: root_path if role == "root" else options.keystore for role in roles}
    beside = {path: path.with_name(path.name + ".next") for path in paths.values()}
    again = any(path.exists() for path in beside.values())
    origin, member = options.network, options.member
    try:
        signers: dict[Turned, SeedSigner] = {}
        for path, new in beside.items():
            turned = [role for role in roles if paths[role] == path]
            signers |= _prepare(opened[path], new, origin, member, turned, options.passphrase_file)
        root = opened[root_path].keys.signer(origin, member, "root")
        genesis = genesis_at(options.node, origin)
        hand_in(options.node, origin, member, root, [rotation(signers[role], genesis, member, role) for role in roles])
    except KeystoreError as error:
        raise Failure(str(error)) from error
    except Unknown as unknown:
        raise Unknown(f"{unknown} Give the same command again: it goes on with the same new keys.") from unknown
    except Refused as refused:
        if not (again and refused.reason in (Reason.KEY_USED, Reason.NOT_AUTHORS_KEY)):
            for new in beside.values():
                new.unlink(missing_ok=True)
            raise
        # An earlier try was taken after all.
    for path, new in beside.items():
        os.replace(new, path)
    if options.json:
        print_json([{"role": role, "key": signers[role].public_key} for role in roles])
    else:
        print(f"The new {' and '.join(roles)} of {member} are in force, and kept. Start the node again.")
    return 0


def _prepare(
    opened: Opened, beside: Path, origin: str, member: str, roles: list[Turned], passphrase_file: Path | None
) -> dict[Turned, SeedSigner]:
    """Write new keys into a file beside their keystore; those of an earlier try are taken as they are."""
    new = Keystore(opened.keys.entries())
    if beside.exists():
        new = open_keystore(beside, passphrase_file).keys
    for role in roles:
        if new.signer(origin, member, role).public_key == opened.keys.signer(origin, member, role).public_key:
            new.replace(origin, member, role, SeedSigner.generate())
    Opened(beside, new, opened.passphrase).save()
    return {role: new.signer(origin, member, role) for role in roles}
