"""Members' keys on a node: a keystore file, encrypted at rest, or deterministic keys for development.

A keystore is one JSON file with any number of keys. Encrypted, its keys are sealed with XSalsa20-Poly1305 under a
key that Argon2id makes of a passphrase; plain, they stand in the file for all to read, and every opening says so.
The passphrase comes from a file, the environment or a prompt, never from the command line, where other users of
the machine can read it.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterable
from getpass import getpass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, get_args

import msgspec
import nacl.pwhash.argon2id as argon2id
import nacl.utils
from msgspec import Meta, Struct
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from tocsin.client.signing import SeedSigner
from tocsin.kernel.words import Key, Origin
from tocsin.node.home import durable

FORMAT: Final = "tocsin-keystore/1"
MAX_KEYSTORE = 256 * 1024 * 1024
"""Bytes of a keystore file: enough for every key of a country's members."""
MAX_PASSPHRASE = 4096
PASSPHRASE_VARIABLE = "TOCSIN_PASSPHRASE"

KeyRole = Literal["root", "act", "finality", "validator", "log"]
"""What a key is for; `log` is the network's own, of the member ``""``."""

# Not a union with "": of two kinds of text msgspec would hold every text against the pattern of one.
Holder = Annotated[str, Meta(pattern=r"\A([a-z0-9]+(-[a-z0-9]+)*)?\Z", max_length=40)]
Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class KeystoreError(Exception):
    """The keystore, its passphrase or its permissions are not right; the sentence says what to do."""


class KdfCost(NamedTuple):
    """Argon2id: passes, and memory in bytes."""

    passes: int
    memory: int


STANDARD = KdfCost(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
"""About a second and 256 MiB: for keys that stay."""
LIGHT = KdfCost(argon2id.OPSLIMIT_INTERACTIVE, argon2id.MEMLIMIT_INTERACTIVE)
"""About a tenth of a second and 64 MiB."""

_MOST = KdfCost(20, 2 * 1024**3)


class StoredKey(Struct, frozen=True, forbid_unknown_fields=True):
    """One key of a keystore. `member` is empty for the log's own key."""

    network: Origin
    member: Holder
    role: KeyRole
    public: Key
    seed: Hex32

    def __repr__(self) -> str:
        return f"StoredKey({self.network} {self.member} {self.role} {self.public})"


class _Kdf(Struct, frozen=True, forbid_unknown_fields=True):
    name: Literal["argon2id"]
    passes: Annotated[int, Meta(ge=1, le=_MOST.passes)]
    memory: Annotated[int, Meta(ge=8192, le=_MOST.memory)]
    salt: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    """`plain` true: `keys` holds the keys and the rest is null; false: `box` holds them, sealed."""

    format: Literal["tocsin-keystore/1"]
    plain: bool
    kdf: _Kdf | None
    box: bytes | None
    keys: list[StoredKey] | None


_decode_keys = msgspec.json.Decoder(list[StoredKey]).decode


def warn_on_stderr(sentence: str) -> None:
    """Say a warning where a person sees it, each time."""
    print(f"WARNING: {sentence}", file=sys.stderr)


class Keystore:
    """Keys by (network, member, role), read from or to be written to one file."""

    def __init__(self, keys: Iterable[StoredKey] = ()) -> None:
        self._keys: dict[tuple[str, str, str], StoredKey] = {}
        for key in keys:
            self._add(key)

    def __len__(self) -> int:
        return len(self._keys)

    def _add(self, key: StoredKey) -> None:
        place = (key.network, key.member, key.role)
        if place in self._keys:
            raise KeystoreError(f"There are two {key.role} keys of {key.member or 'the log'} in {key.network}.")
        self._keys[place] = key

    def add(self, network: str, member: str, role: KeyRole, signer: SeedSigner) -> None:
        """Add a key; raises KeystoreError if the place is taken: keys are rotated, not overwritten."""
        self._add(StoredKey(network, member, role, signer.public_key, signer.seed.hex()))

    def replace(self, network: str, member: str, role: KeyRole, signer: SeedSigner) -> None:
        """Put the new key of a rotation in the place of the old."""
        self._keys.pop((network, member, role), None)
        self.add(network, member, role, signer)

    def signer(self, network: str, member: str, role: KeyRole) -> SeedSigner:
        """The signer for a place; raises KeystoreError if there is none, or its secret is not that of its key."""
        key = self._keys.get((network, member, role))
        if key is None:
            raise KeystoreError(
                f"The keystore has no {role} key of {member or 'the log'} in {network}; "
                "import it, or point the node at the keystore that has it."
            )
        signer = SeedSigner(bytes.fromhex(key.seed))
        if signer.public_key != key.public:
            raise KeystoreError(
                f"The keystore says that {key.public} is the {role} key of {member or 'the log'} in {network}, but its "
                "secret belongs to another; restore the keystore from its backup."
            )
        return signer

    def entries(self) -> list[StoredKey]:
        """All keys, sorted by network, member and role."""
        return [self._keys[place] for place in sorted(self._keys)]

    @classmethod
    def open(
        cls,
        path: Path,
        passphrase: Callable[[], bytes] | None = None,
        warn: Callable[[str], None] = warn_on_stderr,
    ) -> "Keystore":
        """Read a keystore. `passphrase` is asked only if the file is encrypted, `warn` called if it is not.

        Raises KeystoreError: missing or unreadable file, open to others, cut off, wrong passphrase.
        """
        data = _read_private(path, MAX_KEYSTORE)
        try:
            file = msgspec.json.decode(data, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise KeystoreError(
                f"{path} is no keystore, or was cut off or changed ({error}); restore it from its backup."
            ) from None
        if file.plain:
            if file.keys is None or file.kdf is not None or file.box is not None:
                raise KeystoreError(f"{path} says that it is plain, but is not built so; restore it from its backup.")
            warn(
                f"{path} holds {len(file.keys)} private keys IN PLAIN TEXT, for development only. Whoever reads the "
                "file can sign as these members."
            )
            return cls(file.keys)
        if file.kdf is None or file.box is None or file.keys is not None:
            raise KeystoreError(f"{path} says that it is encrypted, but is not built so; restore it from its backup.")
        if passphrase is None:
            raise KeystoreError(f"{path} is encrypted; give its passphrase by file, environment or prompt.")
        secret = _stretch(passphrase(), bytes.fromhex(file.kdf.salt), KdfCost(file.kdf.passes, file.kdf.memory))
        try:
            opened = SecretBox(secret).decrypt(file.box)
            keys = _decode_keys(opened)
        except (CryptoError, ValueError):
            raise KeystoreError(f"The passphrase of {path} is wrong, or the file was changed or cut off.") from None
        return cls(keys)

    def save(self, path: Path, passphrase: bytes, cost: KdfCost = STANDARD) -> None:
        """Write the keystore encrypted, in place of an older one in one step, readable by its owner only.

        Raises KeystoreError if it cannot be written; the older file then stands as it was.
        """
        salt = nacl.utils.random(argon2id.SALTBYTES)
        box = SecretBox(_stretch(passphrase, salt, cost)).encrypt(msgspec.json.encode(self.entries()))
        kdf = _Kdf("argon2id", cost.passes, cost.memory, salt.hex())
        _write_private(path, msgspec.json.encode(_File(FORMAT, False, kdf, bytes(box), None)))

    def save_plain(self, path: Path, warn: Callable[[str], None] = warn_on_stderr) -> None:
        """Write the keys in plain text, for development, and warn."""
        _write_private(path, msgspec.json.encode(_File(FORMAT, True, None, None, self.entries())))
        warn(f"Wrote {len(self)} private keys to {path} IN PLAIN TEXT, for development only.")


class DevKeys:
    """Deterministic keys for demos and tests: who knows the seed knows them all. Never for a real network."""

    @staticmethod
    def derive(seed: bytes, network: str, member: str, role: KeyRole) -> SeedSigner:
        """The key of this seed for a place: the same everywhere, distinct for every place."""
        if role not in get_args(KeyRole):
            raise KeystoreError(f"There is no key role {role!r}.")
        parts = [
            len(part).to_bytes(4, "big") + part for part in (seed, network.encode(), member.encode(), role.encode())
        ]
        return SeedSigner(sha256(b"tocsin/v1/dev-key\0" + b"".join(parts)).digest())


def read_passphrase(file: Path | None = None, prompt: str | None = None, confirm: bool = False) -> bytes:
    """The passphrase: from `file` if one is named, else from the environment, else asked at the terminal.

    A file's final newline is left out. `confirm` asks twice at the prompt. Raises KeystoreError if there is no way
    to get one, or it is empty.
    """
    if file is not None:
        data = _read_private(file, MAX_PASSPHRASE + 2)
        return _checked(data.removesuffix(b"\n").removesuffix(b"\r"), str(file))
    value = os.environ.get(PASSPHRASE_VARIABLE)
    if value is not None:
        return _checked(os.fsencode(value), f"the variable {PASSPHRASE_VARIABLE}")
    if prompt is None or not sys.stdin.isatty():
        raise KeystoreError(
            f"No passphrase: name a file that holds it, set {PASSPHRASE_VARIABLE}, or start from a terminal."
        )
    typed = getpass(prompt)
    if confirm and getpass("Again: ") != typed:
        raise KeystoreError("The two passphrases differ; nothing was written.")
    return _checked(os.fsencode(typed), "the passphrase typed")


def _checked(passphrase: bytes, where: str) -> bytes:
    if not 0 < len(passphrase) <= MAX_PASSPHRASE:
        raise KeystoreError(f"A passphrase has 1 to {MAX_PASSPHRASE} bytes; {where} has {len(passphrase)}.")
    return passphrase


def _stretch(passphrase: bytes, salt: bytes, cost: KdfCost) -> bytes:
    try:
        return argon2id.kdf(SecretBox.KEY_SIZE, passphrase, salt, opslimit=cost.passes, memlimit=cost.memory)
    except (CryptoError, MemoryError, RuntimeError):
        raise KeystoreError(
            f"Opening this keystore takes {cost.memory // 1024**2} MiB of memory, which this machine does not have."
        ) from None


def _read_private(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeystoreError(f"{path} is not a file.")
            if status.st_mode & 0o077:
                raise KeystoreError(
                    f"{path} can be read or changed by other users of this machine; run: chmod 600 {path}"
                )
            data = stream.read(most + 1)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise KeystoreError(f"{path} is larger than {most} bytes; it is not what its name says.")
    return data


def _write_private(path: Path, data: bytes) -> None:
    try:
        durable.write(path, data, 0o600)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be written: {error.strerror}; the keys are not saved.") from None
