"""`tocsin keys rotate`: put new keys in the place of old ones (spec 8.3)."""

import argparse
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from tocsin.cli.acting import Refused, Unknown, hand_in
from tocsin.cli.keystores import Opened, open_keystore
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.client.signing import SeedSigner, rotation
from tocsin.node.keys import KeyRole, Keystore, KeystoreError
from tocsin.node.web.remote import Remote, RemoteError, caller

Turned = Literal["root", "act", "finality", "validator"]
"""Which keys can be rotated."""

_SHOWN_S = 10.0
"""In which a node that follows has made the block that it says was made."""


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
    """New keys are on disk, beside the old, before they are sent; they take the place of the old once they are in
    force. So whatever happens, none that is in force is lost."""
    root_path: Path = options.root or options.keystore
    roles = [role for role in get_args(Turned) if role in options.role]
    try:
        where = {role: root_path if role == "root" else options.keystore for role in roles}
        files = {path: _File.read(path, options.passphrase_file) for path in {options.keystore, root_path}}
        new, again = _prepare(files, options, where)
        _rotate(files, options, files[root_path].opened.keys, new, again)
    except KeystoreError as error:
        raise Failure(str(error)) from error
    if options.json:
        print_json([{"role": role, "key": new[role].public_key} for role in roles])
    else:
        print(f"The new {' and '.join(roles)} of {options.member} are in force, and kept. Start the node again.")
    return 0


class _File(NamedTuple):
    """A keystore, and the one with new keys that is written beside it."""

    opened: Opened
    beside: Opened

    @classmethod
    def read(cls, path: Path, passphrase_file: Path | None) -> "_File":
        opened = open_keystore(path, passphrase_file)
        beside = path.with_name(path.name + ".next")
        if beside.exists():
            return cls(opened, open_keystore(beside, passphrase_file))
        return cls(opened, Opened(beside, Keystore(opened.keys.entries()), opened.passphrase))

    def waiting(self) -> set[tuple[str, str, KeyRole]]:
        """The places of new keys that have not taken the place of the old."""
        old = self.opened.keys.entries()
        return {(one.network, one.member, one.role) for one in self.beside.keys.entries() if one not in old}

    def take(self, origin: str, member: str, roles: Iterable[Turned]) -> None:
        """Put these new keys in the place of the old. Raises Failure."""
        mine = [role for role in roles if (origin, member, role) in self.waiting()]
        for role in mine:
            self.opened.keys.replace(origin, member, role, self.beside.keys.signer(origin, member, role))
        if mine:
            self.opened.save()
        self._left()

    def drop(self, origin: str, member: str, roles: Iterable[Turned]) -> None:
        """Forget these new keys. Raises Failure."""
        for role in roles:
            if (origin, member, role) in self.waiting():
                self.beside.keys.replace(origin, member, role, self.opened.keys.signer(origin, member, role))
        self._left()

    def _left(self) -> None:
        """The file beside stays as long as it is needed: those of another network may wait there too."""
        if self.waiting():
            self.beside.save()
        else:
            self.beside.path.unlink(missing_ok=True)


def _prepare(
    files: Mapping[Path, _File], options: argparse.Namespace, where: Mapping[Turned, Path]
) -> tuple[dict[Turned, SeedSigner], bool]:
    """The new keys of these roles, on disk; those of an earlier try if there was one, and whether there was."""
    origin, member = options.network, options.member
    waiting = {
        role for role in get_args(Turned) for one in files.values() if (origin, member, role) in one.waiting()
    }
    if waiting and waiting != set(where):
        words = " ".join(f"--role {role}" for role in get_args(Turned) if role in waiting)
        raise Failure(f"An earlier try is not over. Give it again first, with {words} and no other.")
    if not waiting:
        for role, path in where.items():
            files[path].opened.keys.signer(origin, member, role)  # that there is an old one, and ours
            files[path].beside.keys.replace(origin, member, role, SeedSigner.generate())
        for path in set(where.values()):
            files[path].beside.save()
    return {role: files[path].beside.keys.signer(origin, member, role) for role, path in where.items()}, bool(waiting)


def _rotate(
    files: Mapping[Path, _File], options: argparse.Namespace, old: Keystore, new: Mapping[Turned, SeedSigner],
    again: bool,
) -> None:  # fmt: skip
    """Send what is not in force yet, and keep what then is. `old`: where the present root key is."""
    url, origin, member = options.node, options.network, options.member
    refused = None
    try:
        genesis, left = _left(url, origin, member, new)
        if left:
            # A root that an earlier try put in force signs from then on.
            root = old.signer(origin, member, "root") if "root" in left or "root" not in new else new["root"]
            try:
                hand_in(url, origin, member, root, [rotation(new[role], genesis, member, role) for role in left])
            except Refused as error:
                refused = error
            until = time.monotonic() + _SHOWN_S
            while (left := _left(url, origin, member, new)[1]) and not refused and time.monotonic() < until:
                time.sleep(0.1)
    except (Unknown, RemoteError) as error:
        raise Unknown(f"{error} Give the same command again: it goes on with the same new keys.") from error
    for file in files.values():
        file.take(origin, member, [role for role in new if role not in left])
    if refused is not None:
        if not again:  # an earlier try may yet come about
            for file in files.values():
                file.drop(origin, member, left)
        raise refused
    if left:
        raise Unknown(f"{url} took them, but does not show them in force yet. Give the same command again.")


def _left(url: str, origin: str, member: str, new: Mapping[Turned, SeedSigner]) -> tuple[str, list[Turned]]:
    """Digest of the genesis, and which new keys are not in force, as a node tells it. Raises RemoteError."""
    with caller() as client:
        standing = Remote(client, url, origin).status()
    held = standing.keys.get(member)
    if held is None:
        raise RemoteError(f"{url} knows no keys of {member} in {origin} now: {standing.error or 'no such member'}.")
    return standing.genesis, [role for role in new if getattr(held, role) != new[role].public_key]
