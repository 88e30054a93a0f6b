"""Trust policies (C2SP tlog-policy): which logs and cosigners are believed, and how many of them.

The file is octets: names are compared byte for byte, never normalised. Bytes that are not UTF-8 come through as
surrogate escapes. A log that is listed is accepted by itself: several ``log`` lines mean any of them.
"""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from .checkpoint import parse_decimal
from .note import COSIGNATURE, ED25519, NoteError, VerifierKey, parse_vkey

MAX_POLICY_SIZE = 1_000_000
NO_QUORUM = "none"

_MAX_THRESHOLD = 9_999
_BLANK = re.compile("[ \t]+")


class PolicyError(ValueError):
    """The policy is malformed; the message begins with the number of the line."""


class Log(NamedTuple):
    """A log that is believed: its type 01 key, named as the log's origin."""

    key: VerifierKey
    url: str = ""


class Witness(NamedTuple):
    """A cosigner by its type 04 key; ``name`` has a meaning within the policy only."""

    name: str
    key: VerifierKey
    url: str = ""


class Group(NamedTuple):
    """Counts as one voice if at least ``threshold`` of its members (witnesses or earlier groups) do."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """A checked policy; make it with `parse` or `k_of_n`. ``quorum`` names a witness or group, or is ``none``."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str


def k_of_n(log: Log, witnesses: Sequence[Witness], threshold: int) -> Policy:
    """The policy of one log and ``threshold`` of these cosigners. Raises PolicyError as `parse` does."""
    group = Group("quorum", threshold, tuple(witness.name for witness in witnesses))
    return parse(format(Policy((log,), tuple(witnesses), (group,), group.name)))


def satisfied(policy: Policy, verified_keys: Collection[bytes]) -> bool:
    """Whether these 32-byte public keys, whose cosignatures were checked, make the quorum.

    Says nothing of the log's own signature.
    """
    if policy.quorum == NO_QUORUM:
        return True
    voices = {witness.name: witness.key.key in verified_keys for witness in policy.witnesses}
    for group in policy.groups:
        voices[group.name] = sum(voices[member] for member in group.members) >= group.threshold
    return voices[policy.quorum]


def format(policy: Policy) -> bytes:
    """Write a policy: logs, witnesses, groups, quorum, one a line, thresholds as numbers."""
    rows = [("log", str(log.key), log.url) for log in policy.logs]
    rows += [("witness", f"{witness.name} {witness.key}", witness.url) for witness in policy.witnesses]
    rows += [("group", f"{group.name} {group.threshold}", " ".join(group.members)) for group in policy.groups]
    rows += [("quorum", policy.quorum, "")]
    return "".join(" ".join(field for field in row if field) + "\n" for row in rows).encode("utf-8", "surrogateescape")


def parse(data: bytes) -> Policy:
    """Read a policy. Raises PolicyError, with the line's number, for whatever the specification does not allow."""
    if len(data) > MAX_POLICY_SIZE:
        raise PolicyError(f"a policy has at most {MAX_POLICY_SIZE} bytes, this has {len(data)}")
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    if lines.pop() != "":
        raise PolicyError(f"line {len(lines) + 1}: does not end in a newline")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        try:
            reader.line(line)
        except (NoteError, PolicyError) as error:
            raise PolicyError(f"line {number}: {error}") from None
    if reader.quorum is None:
        raise PolicyError(f"line {len(lines) + 1}: a policy has a quorum line, this has none")
    return Policy(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)


class _Reader:
    """What the lines so far have defined."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._is_member: dict[str, bool] = {}

    def line(self, line: str) -> None:
        if any((character < " " and character != "\t") or character == "\x7f" for character in line):
            raise PolicyError("has a control character")
        fields = _BLANK.split(line.strip(" \t"))
        keyword, arguments = fields[0], fields[1:]
        if keyword.startswith("#") or keyword == "":
            return
        if keyword == "log" and len(arguments) in (1, 2):
            self._log(*arguments)
        elif keyword == "witness" and len(arguments) in (2, 3):
            self._witness(*arguments)
        elif keyword == "group" and len(arguments) >= 3:
            self._group(arguments[0], arguments[1], tuple(arguments[2:]))
        elif keyword == "quorum" and len(arguments) == 1:
            self._quorum(arguments[0])
        else:
            raise PolicyError(
                "is not one of: log KEY [URL], witness NAME KEY [URL], group NAME K MEMBER..., quorum NAME"
            )

    def _log(self, vkey: str, url: str = "") -> None:
        key = _key(vkey, ED25519)
        if any(log.key.key == key.key for log in self.logs):
            raise PolicyError(f"lists the public key of log {key.name} a second time")
        self.logs.append(Log(key, url))

    def _witness(self, name: str, vkey: str, url: str = "") -> None:
        key = _key(vkey, COSIGNATURE)
        if any(witness.key.key == key.key for witness in self.witnesses):
            raise PolicyError(f"lists the public key of witness {name} a second time")
        self._define(name)
        self.witnesses.append(Witness(name, key, url))

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        for member in members:
            if member not in self._is_member:
                raise PolicyError(f"names {member!r}, which no line before defines")
            if self._is_member[member]:
                raise PolicyError(f"{member!r} is already a member of a group")
            self._is_member[member] = True
        self._define(name)
        self.groups.append(Group(name, _threshold(threshold, len(members)), members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise PolicyError("is a second quorum line")
        if name != NO_QUORUM and name not in self._is_member:
            raise PolicyError(f"names {name!r}, which no line before defines")
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == NO_QUORUM or name in self._is_member:
            raise PolicyError(f"the name {name!r} is taken")
        self._is_member[name] = False


def _key(vkey: str, type: int) -> VerifierKey:
    key = parse_vkey(vkey)
    if key.type != type:
        raise PolicyError(f"the key of {key.name} has type {key.type:#04x}; here type {type:#04x} is needed")
    return key


def _threshold(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    try:
        threshold = parse_decimal(text, _MAX_THRESHOLD)
    except ValueError as error:
        raise PolicyError(f"the threshold of a group is a number, any or all: {error}") from None
    if not 1 <= threshold <= members:
        raise PolicyError(f"asks for {threshold} of {members} members")
    return threshold
