"""No byte of a dossier can change, and no foreign file gets through."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.client.histories import texts
from tests.client.world import AREA, World, report
from tocsin.client import signing
from tocsin.client.dossier import (
    MAX_DOSSIER,
    DossierError,
    build_dossier,
    encode_dossier,
)
from tocsin.client.verify import verify
from tocsin.tlog import note


def test_every_changed_byte_is_refused(small: tuple[World, bytes]) -> None:
    world, data = small
    policy = world.policy()
    assert verify(data, policy).ok
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        assert not verify(bytes(changed), policy).ok, position


def test_every_sampled_byte_of_a_rich_dossier_is_refused(two_levels: tuple[World, World, str, str]) -> None:
    for world, message in ((two_levels[1], two_levels[3]), (two_levels[0], two_levels[2])):
        data = world.dossier(message)
        assert verify(data, world.policy()).ok
        for position in range(0, len(data), 41):
            changed = bytearray(data)
            changed[position] = (changed[position] + 1 + position % 200) % 256
            if changed[position] != data[position]:
                assert not verify(bytes(changed), world.policy()).ok, position


def test_cut_and_grown_files_are_refused(small: tuple[World, bytes]) -> None:
    world, data = small
    for changed in (*(data[:length] for length in range(0, len(data), 97)), data + b"\n", b" " + data, data + data):
        assert not verify(changed, world.policy()).ok


def test_whatever_is_taken_out_or_put_twice_is_refused(small: tuple[World, bytes]) -> None:
    world, data = small
    plain = json.loads(data)

    def dump(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    assert dump(plain) == data
    for name in ("leaves", "acts"):
        for place in range(len(plain[name])):
            for part in (
                plain[name][:place] + plain[name][place + 1 :],
                plain[name][: place + 1] + plain[name][place:],
            ):
                assert not verify(dump(plain | {name: part}), world.policy()).ok, (name, place)
        assert not verify(dump(plain | {name: plain[name][::-1]}), world.policy()).ok
    for name in plain:
        assert not verify(dump({key: value for key, value in plain.items() if key != name}), world.policy()).ok
    assert not verify(dump(plain | {"more": 1}), world.policy()).ok
    lines = plain["checkpoint"].split("\n")
    for place in range(len(lines)):
        for part in (lines[:place] + lines[place + 1 :], lines[: place + 1] + lines[place:]):
            result = verify(dump(plain | {"checkpoint": "\n".join(part)}), world.policy())
            # Four of five finality lines are still a quorum: that file says so, and is another true one.
            assert not result.ok or result.lines[-2].text in ("4 of 5, 4 self-held.", "4 of 5, 3 self-held.")


def test_leaves_that_have_no_part_are_refused() -> None:
    world = World()
    first = world.recorded()
    world.recorded("beimen")
    dossier = build_dossier(world, first)
    for index in range(len(world.leaves)):
        if index not in [leaf.index for leaf in dossier.leaves]:
            from tocsin.client.dossier import ShownLeaf

            proof = [one.hex() for one in world.inclusion(index, len(world.leaves))]
            shown = ShownLeaf(index, msgspec.Raw(world.leaves[index]), proof)
            more = replace(dossier, leaves=sorted([*dossier.leaves, shown], key=lambda one: one.index))
            result = verify(encode_dossier(more), world.policy())
            assert not result.ok, index


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no dossier"),
        (b"null", "no dossier"),
        (b"\xff\xfe", "no dossier"),
        (b"[" * 1_000_000, "no dossier"),
        (b'{"format":' * 100_000, "no dossier"),
        (b'{"format":"tocsin-dossier/2"}', "no dossier"),
        (b"0" * (MAX_DOSSIER + 1), "at most"),
    ],
)
def test_foreign_bytes_get_a_sentence(data: bytes, sentence: str) -> None:
    result = verify(data, World().policy())
    assert not result.ok
    assert sentence in result.lines[-1].text


def test_deeply_nested_and_huge_numbers_inside(small: tuple[World, bytes]) -> None:
    world, data = small
    head, _, tail = data.partition(b'"leaves":[{"index":0,"leaf":')
    deep = head + b'"leaves":[{"index":0,"leaf":' + b"[" * 500_000 + b"]" * 500_000 + b"," + tail.partition(b",")[2]
    assert not verify(deep, world.policy()).ok
    for number in (b"-1", b"1e3", b"1.0", b"99999999999999999999999999", b"9007199254740993", b"00", b"NaN"):
        assert not verify(data.replace(b'"index":1,', b'"index":' + number + b",", 1), world.policy()).ok


# What cannot be made.


def test_no_dossier_without_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    message = world.recorded()
    open_one = world.submit("beimen", report())
    cases: list[tuple[str, str, Callable[[], None]]] = [
        (open_one, "is not final", lambda: None),
        ("00" * 32, "is not final", lambda: None),
        (message, "is not at hand", lambda: monkeypatch.setattr(world, "envelope", lambda *_: None)),
        (message, "cannot be read", lambda: monkeypatch.setattr(world, "checkpoint", lambda: b"x")),
    ]
    for name, sentence, spoil in cases:
        spoil()
        with pytest.raises(DossierError, match=sentence):
            build_dossier(world, name)


def test_a_source_may_add_foreign_lines_and_refreshed_ones() -> None:
    world = World()
    message = world.recorded()

    size = max(world.notes)
    parsed = note.parse(world.notes[size])
    stranger = note.sign_line(note.VerifierKey("witness.example/w", 4, b"\x07" * 32), b"\x00" * 72)
    head = signing.Checkpoint(world.origin, size, world.root(size))
    newer = signing.cosign_checkpoint(world.finality["annan"], "annan", head, world.at // 1000 + 500)
    world.notes[size] = note.format(parsed.text, [stranger, newer, *reversed(parsed.signatures)])
    texts(world, message)
    assert AREA.encode() in world.dossier(message)
