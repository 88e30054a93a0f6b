"""Slug ids (spec 2) from names in any script, the same ones on every machine.

Latin letters lose their accents; what has no Latin form (Chinese, Arabic, Cyrillic, ...) is replaced by the first
digits of the name's SHA-256, never dropped in silence, so two different names never share an id by accident.
The name itself stays in the archive for people to read.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

__all__ = ["MAX_SLUG", "slug", "unique_slugs"]

MAX_SLUG = 40
"""Bytes in a slug, spec 2."""

_DIGEST_DIGITS = 8
_LATIN = str.maketrans(
    {"ß": "ss", "ẞ": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o", "Ø": "o", "đ": "d", "Đ": "d",
     "ð": "d", "Ð": "d", "ł": "l", "Ł": "l", "þ": "th", "Þ": "th", "ı": "i", "ŧ": "t", "Ŧ": "t", "ħ": "h", "Ħ": "h"}
)  # fmt: skip


def slug(name: str, *, salt: str = "") -> str:
    """A slug for `name`; `salt` (for example the name of its network) goes into the digest where one is needed."""
    letters = unicodedata.normalize("NFKD", name.translate(_LATIN))
    plain = re.sub(r"[^a-z0-9]+", "-", letters.encode("ascii", "ignore").decode("ascii").lower()).strip("-")
    lost = any(not c.isascii() and unicodedata.category(c)[0] in "LN" for c in letters)
    if plain and not lost and len(plain) <= MAX_SLUG:
        return plain
    text = unicodedata.normalize("NFC", name) + ("\n" + salt if salt else "")
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]
    stem = plain[: MAX_SLUG - _DIGEST_DIGITS - 1].rstrip("-")
    return f"{stem}-{digest}" if stem else f"n-{digest}"


def unique_slugs(names: Sequence[str], groups: Sequence[str]) -> tuple[str, ...]:
    """One slug for each name, unique among all: those that would share one are preceded by their group's name.

    `groups` says to which group (network) each name belongs, in the same order. Raises `ValueError` where one group
    has the same name twice.
    """
    pairs = list(zip(groups, names, strict=True))
    twice = [pair for pair, times in Counter(pairs).items() if times > 1]
    if twice:
        group, name = twice[0]
        raise ValueError(f"{name!r} stands twice in {group!r}")
    first = [slug(name) for name in names]
    shared = {key for key, times in Counter(first).items() if times > 1}
    second = [
        slug(f"{group} {name}", salt=group) if key in shared else key
        for key, (group, name) in zip(first, pairs, strict=True)
    ]
    still = {key for key, times in Counter(second).items() if times > 1}
    return tuple(
        _digested(key, group, name) if key in still else key
        for key, (group, name) in zip(second, pairs, strict=True)
    )


def _digested(key: str, group: str, name: str) -> str:
    digest = hashlib.sha256(f"{group}\n{name}".encode()).hexdigest()[: 2 * _DIGEST_DIGITS]
    return f"{key[: MAX_SLUG - 2 * _DIGEST_DIGITS - 1].rstrip('-')}-{digest}"
