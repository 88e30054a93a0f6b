"""One Ed25519 check, exactly as libsodium decides it (spec 2)."""

import nacl.bindings
from nacl.exceptions import CryptoError

_open = nacl.bindings.crypto_sign_open


def holds(check: tuple[bytes, bytes, bytes]) -> bool:
    """Whether (key, message, signature) holds. What has not the size of a key or signature does not."""
    key, message, signature = check
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        _open(signature + message, key)
    except CryptoError:
        return False
    return True
