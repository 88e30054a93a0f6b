"""The wrapper and header of an envelope without their patterns, which cost more than all else in them.

What `envelope` reads with these it holds against the patterns itself, or against something that has them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from tocsin.kernel.acts import Act


class PlainHeader(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The signed header, with any strings and numbers."""

    v: int
    genesis: str
    author: str
    valid_until: int
    acts: int
    digest: str


class PlainSignature(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The signature, with any strings."""

    keyid: str
    sig: str


class PlainWrapper(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The wrapper with any strings, but with its acts decoded as their schemas say."""

    payload: Annotated[str, Meta(max_length=2048)]
    payloadType: str
    signatures: Annotated[list[PlainSignature], Meta(min_length=1, max_length=1)]
    acts: list[Act]


decode_plain_wrapper = msgspec.json.Decoder(PlainWrapper).decode
decode_plain_header = msgspec.json.Decoder(PlainHeader).decode
