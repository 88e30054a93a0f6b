"""Bytes as they travel compressed. Nodes may compress differently, so that what is hashed is what was packed."""

import zlib

_LEVEL = 1


def pack(data: bytes) -> bytes:
    """As it is sent."""
    return zlib.compress(data, _LEVEL)


def unpack(data: bytes, most: int) -> bytes:
    """Read back; raises ValueError if it is none, or would be of more than `most` bytes."""
    reader = zlib.decompressobj()
    try:
        read = reader.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(read) > most or not reader.eof or reader.unused_data:
        raise ValueError("it is cut short, too long, or goes on behind its end")
    return read
