"""The acts of a dossier: each recomputed from its envelope's header, and its signature checked (spec 3)."""

from typing import NamedTuple, TypeVar

import msgspec

from tocsin.client.dossier import Dossier, ShownAct
from tocsin.client.report import Refused, require, short
from tocsin.client.signing import verify_signature
from tocsin.kernel.acts import Act
from tocsin.kernel.admission import MAX_AHEAD_MS
from tocsin.kernel.digest import acts_digest, digest, message_id
from tocsin.kernel.envelope import PAYLOAD_TYPE, VERSION, Header, decode_act, encode
from tocsin.kernel.leaves import RosterLeaf

T = TypeVar("T", bound=Act)


class SignedAct(NamedTuple):
    """An act whose envelope's signature holds under `key`; that the key is its author's is still to be checked."""

    act: Act
    digest: str
    envelope: str
    position: int
    header: Header
    key: str


class Acts:
    """The acts of a dossier; and which of them played a part."""

    def __init__(self, dossier: Dossier) -> None:
        self._acts = [_open(shown, dossier.genesis) for shown in dossier.acts]
        self._used: dict[int, None] = {}
        places = [(one.envelope, one.position) for one in self._acts]
        require(places == sorted(set(places)), "The acts are not sorted by envelope, or one stands twice.")

    def __len__(self) -> int:
        return len(self._acts)

    def take(
        self, kind: type[T], author: str, act: str | None, envelope: str | None = None, message: str | None = None
    ) -> tuple[T, SignedAct]:
        """The act with this digest by this author; from the envelope of this digest, and the one whose place there
        makes the id of `message`, where these are given."""
        for place, one in enumerate(self._acts):
            if one.digest != act or one.header.author != author or envelope not in (None, one.envelope):
                continue
            if message not in (None, message_id(one.envelope, one.position)):
                continue
            require(
                isinstance(one.act, kind),
                f"The act {short(one.digest)} of {author} is not of the sort that the log says it is.",
            )
            self._used[place] = None
            return one.act, one  # type: ignore[return-value]
        raise Refused(f"The dossier lacks the signed act {short(act or '')} of {author}; ask for a whole one.")

    def find(self, kind: type[T], author: str) -> list[tuple[T, SignedAct]]:
        """All acts of a sort by an author; the caller says with `take` which of them count."""
        return [(one.act, one) for one in self._acts if one.header.author == author and isinstance(one.act, kind)]

    def require_all_used(self) -> None:
        """Refuse a file with acts that no check looked at."""
        for place, one in enumerate(self._acts):
            require(
                place in self._used,
                f"The act {short(one.digest)} of {one.header.author} has no part in this record and was not checked.",
            )


def by_member(signed: SignedAct, roster: RosterLeaf) -> None:
    """Refuse unless the act was signed with the act key of its author, active on this roster."""
    author = signed.header.author
    member = next((one for one in roster.members if one.id == author), None)
    require(
        member is not None and member.status == "active",
        f"{author} signed an act, but was no active member in epoch {roster.epoch}.",
    )
    require(
        member is not None and member.keys.act == signed.key,
        f"An act of {author} is not signed with its act key of epoch {roster.epoch}.",
    )


def by_member_in(signed: SignedAct, rosters: list[RosterLeaf]) -> None:
    """Refuse unless the act was signed with its author's act key on one of these rosters, between which the log does
    not tell when it was taken."""
    require(
        any(
            one.id == signed.header.author and one.status == "active" and one.keys.act == signed.key
            for roster in rosters
            for one in roster.members
        ),
        f"An act of {signed.header.author} is not signed with its act key of the time.",
    )


def in_time(signed: SignedAct, earliest: int, latest: int) -> None:
    """Refuse unless the envelope could be taken at some block time from `earliest` to `latest`, in ms (spec 3.1)."""
    until = signed.header.valid_until
    require(
        earliest < until <= latest + MAX_AHEAD_MS,
        f"The envelope of {signed.header.author} with the act {short(signed.digest)} was not valid when it counted.",
    )


def _open(shown: ShownAct, genesis: str) -> SignedAct:
    payload, data = bytes(shown.header), bytes(shown.act)
    try:
        header = msgspec.json.decode(payload, type=Header)
        act: Act = decode_act(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"A signed act cannot be read: {error}.") from None
    require(
        encode(header) == payload and encode(act) == data,
        f"An act of {header.author} is not canonical: encoding it again gives other bytes.",
    )
    own = digest(b"act", data)
    digests = [*shown.others[: shown.index], own, *shown.others[shown.index :]]
    require(
        header.v == VERSION and header.genesis == genesis,
        f"An envelope of {header.author} is for another network, or another version of the protocol.",
    )
    require(
        shown.index <= len(shown.others)
        and header.acts == len(digests)
        and header.digest == acts_digest([bytes.fromhex(one) for one in digests]),
        f"The act {short(own)} is not one that {header.author} signed in the envelope shown for it.",
    )
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    require(
        verify_signature(bytes.fromhex(shown.key), signed, bytes.fromhex(shown.signature)),
        f"The signature of {header.author} on the act {short(own)} does not hold.",
    )
    return SignedAct(act, own, digest(b"envelope", signed), shown.index, header, shown.key)
