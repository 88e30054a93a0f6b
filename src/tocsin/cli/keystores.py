"""A keystore as commands use it: opened with its passphrase, saved as it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tocsin.cli.output import Failure
from tocsin.node.keys import Keystore, KeystoreError, read_passphrase


class Opened(NamedTuple):
    """`passphrase` is None where the file is in plain text."""

    path: Path
    keys: Keystore
    passphrase: bytes | None

    def save(self, path: Path | None = None) -> None:
        """Write it back, or to another file; raises Failure."""
        try:
            if self.passphrase is None:
                self.keys.save_plain(path or self.path)
            else:
                self.keys.save(path or self.path, self.passphrase)
        except KeystoreError as error:
            raise Failure(str(error)) from error


def open_keystore(path: Path, passphrase_file: Path | None) -> Opened:
    """Ask for the passphrase if there is one; raises Failure."""
    given: list[bytes] = []

    def ask() -> bytes:
        given.append(read_passphrase(passphrase_file, f"Passphrase of {path}: "))
        return given[-1]

    try:
        keys = Keystore.open(path, ask)
    except KeystoreError as error:
        raise Failure(str(error)) from error
    return Opened(path, keys, given[-1] if given else None)


def open_keystores(paths: Sequence[Path], passphrase_file: Path | None) -> list[Opened]:
    """Several, as above."""
    return [open_keystore(path, passphrase_file) for path in paths]
