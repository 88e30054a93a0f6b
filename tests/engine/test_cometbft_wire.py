"""The codec against its own rules and against bytes written by hand; CometBFT itself is the other reader."""

import os
import signal
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.abci import request
from tests.engine.comet import wait_for
from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.process import Process
from tocsin.engine.cometbft.protobuf import WireError, decode, encode, message, read_varint, varint

_INTS = st.integers(-(1 << 63), (1 << 63) - 1)


def _messages(cls: Any) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{name: _values(kind) for name, kind in get_type_hints(cls).items()})


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if kind is int:
        return _INTS
    if kind is bytes:
        return st.binary(max_size=300)
    if kind is str:
        return st.text(max_size=200)
    if getattr(kind, "__origin__", None) is tuple:
        return st.lists(_values(kind.__args__[0]), max_size=4).map(tuple)
    if isinstance(kind, type):
        return _messages(kind)
    return st.none() | _messages(kind.__args__[0])


_REQUESTS = st.one_of(*(_messages(kind) for kind in wire._REQUESTS.values()))
_ANSWERS = st.one_of(*(_messages(kind) for kind in wire._ANSWERS))


@given(st.lists(_REQUESTS, max_size=6), st.integers(1, 700))
def test_requests_come_back_whatever_the_pieces(requests: list[Any], piece: int) -> None:
    data = b"".join(map(request, requests))
    frames = wire.Frames()
    found = [one for at in range(0, len(data), piece) for one in frames.feed(data[at : at + piece])]
    assert found == requests


@given(_ANSWERS)
def test_answers_can_be_read(answer: Any) -> None:
    data = wire.frame(answer)
    length, at = read_varint(data, 0, len(data))
    assert at + length == len(data)
    tag, at = read_varint(data, at, len(data))
    assert tag == wire._ANSWERS[type(answer)] << 3 | 2
    length, at = read_varint(data, at, len(data))
    assert decode(type(answer), data, at) == answer


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for kind in (*wire._REQUESTS.values(), *wire._ANSWERS):
        try:
            decode(kind, data)
        except WireError:
            continue
    with suppress(WireError):
        list(wire.Frames().feed(data))


@given(_REQUESTS, st.data())
def test_a_request_cut_short_is_not_read(call: Any, data: st.DataObject) -> None:
    frame = request(call)
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert list(wire.Frames().feed(frame[:cut])) == []


@given(_INTS)
def test_numbers(value: int) -> None:
    data = varint(value)
    assert len(data) <= 10
    read, at = read_varint(data, 0, len(data))
    assert at == len(data)
    assert (read - (1 << 64) if read >> 63 else read) == value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        # Written by hand from the field numbers.
        (wire.Timestamp(1, -1), b"\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (wire.ValidatorUpdate(wire.PublicKey(b"k"), 1), b"\x0a\x03\x0a\x01k\x10\x01"),
        (wire.ValidatorUpdate(wire.PublicKey(), 0), b"\x0a\x00"),
        (wire.CheckTx(b"tx", wire.RECHECK), b"\x0a\x02tx\x10\x01"),
        (wire.PrepareProposalAnswer((b"", b"a")), b"\x0a\x00\x0a\x01a"),
        (wire.TxResult(7, b"d", "log", 0, "c"), b"\x08\x07\x12\x01d\x1a\x03log\x42\x01c"),
        (wire.CommitAnswer(300), b"\x18\xac\x02"),
        (wire.FinalizeBlockAnswer((wire.TxResult(),), (), None, b"h"), b"\x12\x00\x2a\x01h"),
        (wire.ConsensusParams(wire.VersionParams(2)), b"\x22\x02\x08\x02"),
        (wire.Flush(), b""),
    ],
)
def test_bytes_written_by_hand(value: Any, data: bytes) -> None:
    assert encode(value) == data
    assert decode(type(value), data) == value


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x0a\x05ab", b"\x09\x01", b"\x0d\x01", b"\x0b", b"\x0a\xff\xff\xff\xff\x7f", b"\x80" * 11]
)
def test_broken_messages(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(wire.Echo, data)


def test_every_field_needs_a_number() -> None:
    class Two(NamedTuple):
        one: int = 0
        two: int = 0

    with pytest.raises(TypeError, match="a number for each field"):
        message(one=1)(Two)


# The process.


def _program(folder: Path, script: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_process_that_ends_is_started_again_after_longer_pauses(tmp_path: Path) -> None:
    began: list[float] = []
    program = _program(tmp_path, "echo first; echo 'ERROR: no such thing' ; echo last; exit 3")
    process = Process(program, tmp_path, lambda: began.append(time.monotonic()))
    wait_for(lambda: len(began) >= 4)
    process.stop()
    # A busy machine may be late, and nobody may be early.
    pauses = [after - before for before, after in pairwise(began)]
    assert all(pause >= least for pause, least in zip(pauses, (0.4, 0.8, 1.6), strict=False))
    assert process.why == process.ended == "CometBFT ended with status 3: ERROR: no such thing"
    assert (tmp_path / "cometbft.log").read_text().count("last") in (process.starts - 1, process.starts)
    assert process.pid is None


def test_a_program_that_cannot_be_run_is_tried_again_and_said(tmp_path: Path) -> None:
    process = Process(tmp_path / "nothing", tmp_path, lambda: None)
    wait_for(lambda: "nothing" in process.why)
    process.stop()


def test_why_it_ended_is_told_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path, "[ -e again ] || { touch again; echo 'ERROR: once'; exit 3; }; exec sleep 600")
    monkeypatch.chdir(tmp_path)
    process = Process(program, tmp_path, lambda: None)
    wait_for(lambda: "once" in process.why)
    monkeypatch.setattr("tocsin.engine.cometbft.process._UP_S", 0.2)
    wait_for(lambda: not process.why)
    assert "once" in process.ended
    starts = process.starts
    process.again()
    wait_for(lambda: process.starts > starts)
    assert not process.ended
    process.stop()
    assert not process.alive


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.engine.cometbft.process._STOP_S", 0.3)
    program = _program(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    ready: list[bytes] = []
    process = Process(program, tmp_path, lambda: None, ready.append)
    wait_for(lambda: bool(ready))
    pid = process.pid
    assert pid is not None
    process.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
