"""Random values of any schema of ours, read from the schema itself: a new act or leaf is fuzzed without a line here."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

import msgspec
from msgspec import inspect

from tests.fuzz.dice import one_of, percent
from tocsin import charters
from tocsin.kernel.charter import Charter
from tocsin.kernel.words import MAX_INT

EDGES = (0, 1, -1, 2, 3, 4, 64, 1000, 2**31, MAX_INT, -MAX_INT)
BEYOND = (MAX_INT + 1, 2**63, 2**64, -(2**63) - 1, 2**200)
ODD = ("", "a", "A", " ", "a/b", "\x00", "ü", "\u202e", "x" * 200, "new", "none", "relayed.report.x", "é" * 40)
WORDS: dict[str, tuple[str, ...]] = {
    "slug": ("a", "annan", "response", "alert", "watch", "recovery", "0-0", "x" * 40, "other", "m9"),
    "kind": (
        "report.cluster.dengue", "report.event.x", "report.x", "motion.lead", "motion.stage", "motion.features",
        "motion.close", "motion.admit", "motion.suspend", "motion.reinstate", "motion.expel", "motion.roles",
        "motion.rekey", "motion.peer", "motion.charter", "motion.upgrade", "order.isolate", "order.revoke", "finding",
        "finding.review", "share.record", "relayed.report.x", "relayed.order.x", "relayed.finding", "motion", "x",
        "motion.new", "report." + "y" * 73,
    ),
    "coded": ("icd11:1D2Z", "iso3166-2:TW-TNN", "lei:x", "a:A/b.c"),
    "origin": ("up.example/u", "down.example/d", "side.example/s", "here.example/h", "~", "x" * 150),
    "base64": ("", "AA==", "AAAA", "A" * 43 + "=", "=", "B" * 44),
}  # fmt: skip


@cache
def info(kind: Any) -> inspect.Type:
    """What a type admits."""
    return inspect.type_info(kind)


class Forms:
    """Makes values. `pools`: hexes of 64 to draw from, members, and origins of the network that is fuzzed.

    With `wild` what a schema leaves open, strings and integers without bounds, takes strange values too.
    """

    def __init__(self, chance: Random, pools: Mapping[str, Sequence[str]], wild: bool = False) -> None:
        self.chance = chance
        self.pools = pools
        self.wild = wild

    def value(self, kind: Any) -> Any:
        """A value of a type."""
        return self._make(info(kind), "")

    def _make(self, what: inspect.Type, field: str) -> Any:
        chance = self.chance
        match what:
            case inspect.UnionType():
                kinds = what.types
                # Null half of the time where it may stand.
                if what.includes_none and percent(chance, 40):
                    return None
                return self._make(one_of(chance, [one for one in kinds if not isinstance(one, inspect.NoneType)]), field)
            case inspect.StructType():
                if what.cls is Charter:
                    return charters.load(one_of(chance, charters.names()))
                return what.cls(**{one.name: self._make(one.type, one.name) for one in what.fields})
            case inspect.ListType() | inspect.VarTupleType():
                least, most = what.min_length or 0, what.max_length or 8
                many = min(most, least + one_of(chance, (0, 0, 1, 1, 2, 4, 20)))
                made = [self._make(what.item_type, field) for _ in range(many)]
                if percent(chance, 70) and all(isinstance(one, str) for one in made):
                    made = sorted(set(made)) if len(set(made)) >= least else made
                return made
            case inspect.TupleType():
                return tuple(self._make(one, field) for one in what.item_types)
            case inspect.DictType():
                return {}
            case inspect.LiteralType():
                return one_of(chance, list(what.values))
            case inspect.NoneType():
                return None
            case inspect.BoolType():
                return bool(chance.randrange(2))
            case inspect.IntType():
                return self._int(what, field)
            case inspect.StrType():
                return self._str(what, field)
        raise NotImplementedError(what)

    def _int(self, what: inspect.IntType, field: str) -> int:
        chance = self.chance
        open_ended = what.ge is None and what.le is None and what.lt is None
        if open_ended and self.wild and percent(chance, 10):
            return one_of(chance, BEYOND)
        least = -MAX_INT if what.ge is None else what.ge
        most = MAX_INT if what.le is None else what.le
        if what.lt is not None:
            most = what.lt - 1
        near = [int(one) for one in self.pools.get("times", ())] if most > 10**9 else []
        picks = [one for one in (*EDGES, *near, *near) if least <= one <= most]
        return one_of(chance, picks) if picks and not percent(chance, 10) else chance.randint(int(least), int(most))

    def _str(self, what: inspect.StrType, field: str) -> str:
        chance, pattern = self.chance, what.pattern
        if pattern is None:
            words = [*self.pools["members"], *self.pools["texts"], *self.pools["hexes"], *WORDS["kind"]]
            if self.wild and percent(chance, 20):
                return one_of(chance, ODD)
            if field in ("kind",):
                words = list(WORDS["kind"])
            elif field == "message":
                words = list(self.pools["hexes"])
            word = one_of(chance, words)
            return word[: what.max_length] if what.max_length is not None else word
        pools = [
            *self.pools["members"], *self.pools["hexes"], *self.pools["origins"],
            *(word for words in WORDS.values() for word in words),
        ]
        fitting = self._fitting(pattern, what.max_length, tuple(pools))
        if fitting:
            return one_of(chance, fitting)
        signature = f"{chance.randrange(16):x}" * 128
        if re.search(pattern, signature):
            return signature
        raise NotImplementedError(pattern)

    @staticmethod
    @cache
    def _fitting(pattern: str, most: int | None, words: tuple[str, ...]) -> list[str]:
        return sorted({one for one in words if re.search(pattern, one) and (most is None or len(one) <= most)})


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is one that the codec would read as this type."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value), type=kind) == value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
