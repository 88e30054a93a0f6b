"""Ed25519 signatures at the edges where libraries disagree, made with plain curve arithmetic (RFC 8032).

Slow and not constant-time: for test vectors with published keys only.
"""

from collections.abc import Iterator
from hashlib import sha512
from typing import NamedTuple

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
"""Order of the base point."""
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int]
IDENTITY: Point = (0, 1)


class Edge(NamedTuple):
    """A case: what is odd about it, and the bytes."""

    name: str
    key: bytes
    message: bytes
    signature: bytes


def accepts(edge: Edge) -> bool:
    """What libsodium, as PyNaCl brings it, says."""
    try:
        crypto_sign_open(edge.signature + edge.message, edge.key)
    except BadSignatureError:
        return False
    return True


def add(one: Point, other: Point) -> Point:
    """Sum of two points of the twisted Edwards curve."""
    (x1, y1), (x2, y2) = one, other
    k = D * x1 * x2 * y1 * y2 % P
    return ((x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P)


def multiply(scalar: int, point: Point) -> Point:
    """`scalar` times a point."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def recover(y: int, sign: int) -> int | None:
    """The x of a point with this y and sign, or None if there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return x if x & 1 == sign else P - x


def encode(point: Point) -> bytes:
    """The 32 bytes of a point."""
    return (point[1] | ((point[0] & 1) << 255)).to_bytes(32, "little")


def _base() -> Point:
    y = 4 * pow(5, -1, P) % P
    x = recover(y, 0)
    assert x is not None
    return (x, y)


def _order_eight() -> Point:
    y = 2
    while True:
        x = recover(y, 0)
        if x is not None:
            found = multiply(L, (x, y))
            if multiply(4, found) != IDENTITY:
                return found
        y += 1


def _scalar(*parts: bytes) -> int:
    return int.from_bytes(sha512(b"".join(parts)).digest(), "little") % L


def _sign(commitment: bytes, r: int, key: bytes, secret: int, message: bytes) -> bytes:
    response = (r + _scalar(commitment, key, message) * secret) % L
    return commitment + response.to_bytes(32, "little")


def edges() -> Iterator[Edge]:
    """All cases, the ordinary one first."""
    base, torsion = _base(), _order_eight()
    secret, r = _scalar(b"tocsin edge secret"), _scalar(b"tocsin edge nonce")
    key, commitment = encode(multiply(secret, base)), encode(multiply(r, base))
    message = b"tocsin"
    good = _sign(commitment, r, key, secret, message)
    response = int.from_bytes(good[32:], "little")
    yield Edge("ordinary signature", key, message, good)
    yield Edge("S plus the group order", key, message, good[:32] + (response + L).to_bytes(32, "little"))
    yield Edge("S with its top bit set", key, message, good[:63] + bytes([good[63] | 0x80]))
    yield Edge("one bit of the message flipped", key, b"tocsio", good)
    yield Edge("one bit of R flipped", key, message, bytes([good[0] ^ 1]) + good[1:])
    yield Edge("R and S zero", key, message, bytes(64))
    yield Edge("R the identity, S fitting", key, message, _sign(encode(IDENTITY), 0, key, secret, message))
    mixed = encode(add(multiply(r, base), torsion))
    yield Edge(
        "R with a part of order 8: accepted by libraries that multiply by the cofactor",
        key,
        message,
        _sign(mixed, r, key, secret, message),
    )
    mixed_key = encode(add(multiply(secret, base), torsion))
    for fits in (True, False):
        number = next(n for n in range(100) if (_scalar(commitment, mixed_key, b"tocsin %d" % n) % 8 == 0) is fits)
        said = b"tocsin %d" % number
        yield Edge(
            f"key with a part of order 8, hash {'' if fits else 'not '}divisible by 8",
            mixed_key,
            said,
            _sign(commitment, r, mixed_key, secret, said),
        )
    for multiple in range(8):
        small = multiply(multiple, torsion)
        yield Edge(f"small-order key no. {multiple}, R the identity, S zero", encode(small), message,
                   encode(IDENTITY) + bytes(32))  # fmt: skip
        yield Edge(f"small-order key no. {multiple}, ordinary R and S", encode(small), message, good)
    for y, sign in ((P, 0), (P, 1), (P + 1, 0), (P + 1, 1), (1, 1), (P - 1, 1)):
        odd = (y | (sign << 255)).to_bytes(32, "little")
        name = {P: "p", P + 1: "p+1", 1: "1", P - 1: "p-1"}[y]
        yield Edge(f"small-order key in non-canonical form: y = {name}, sign {sign}", odd, message,
                   encode(IDENTITY) + bytes(32))  # fmt: skip
    no_point = next(y for y in range(2, 100) if recover(y, 0) is None)
    yield Edge("key that is no point", no_point.to_bytes(32, "little"), message, good)
