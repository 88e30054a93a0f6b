"""What was signed is remembered through crashes, and never contradicted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.store.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull
from tocsin.store.watermark import SignedHead, SigningRefused, Watermark

A, B = bytes([1]) * 32, bytes([2]) * 32


def head(size: int, root: bytes = A, origin: str = "health.example/a") -> SignedHead:
    return SignedHead(origin, size, root)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signed"


def test_heads_grow_and_survive(path: Path) -> None:
    with Watermark.open(path, create=True) as mark:
        mark.admit([head(3), head(5, origin="health.example/b")])
        mark.admit([head(4, B)])
        mark.admit([head(4, B)])
    with Watermark.open(path) as mark:
        assert mark.head("health.example/a") == head(4, B)
        assert mark.head("health.example/b") == head(5, origin="health.example/b")
        assert mark.head("health.example/c") is None


@pytest.mark.parametrize(("bad", "word"), [(head(4, A), "another root"), (head(3, A), "lost leaves")])
def test_contradictions_are_refused_and_change_nothing(path: Path, bad: SignedHead, word: str) -> None:
    with Watermark.open(path, create=True) as mark:
        mark.admit([head(4, B)])
        before = path.read_bytes()
        with pytest.raises(SigningRefused, match=word):
            mark.admit([head(9, origin="health.example/b"), bad])
        assert path.read_bytes() == before
        assert mark.head("health.example/b") is None
    with Watermark.open(path) as mark, pytest.raises(SigningRefused, match=word):
        mark.admit([bad])


def test_two_roots_of_one_size_in_one_call(path: Path) -> None:
    with Watermark.open(path, create=True) as mark, pytest.raises(SigningRefused):
        mark.admit([head(4, A), head(4, B)])


def test_every_torn_end_is_forgotten_and_nothing_else(path: Path) -> None:
    with Watermark.open(path, create=True) as mark:
        mark.admit([head(3)])
        kept = len(path.read_bytes())
        mark.admit([head(4, B), head(7, origin="health.example/b")])
    whole = path.read_bytes()
    for length in [*range(kept, len(whole), 9), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with Watermark.open(path) as mark:
            assert mark.head("health.example/a") == head(3)
            assert mark.head("health.example/b") is None
            mark.admit([head(5, B)])
        with Watermark.open(path) as mark:
            assert mark.head("health.example/a") == head(5, B)


def test_a_cut_header_is_a_file_that_never_was(path: Path) -> None:
    for length in range(10):
        path.write_bytes(b"tocsin-signed-heads/1\n"[:length])
        with Watermark.open(path) as mark:
            assert mark.head("health.example/a") is None


def test_pages_of_the_last_group_lost_in_the_middle(path: Path) -> None:
    with Watermark.open(path, create=True) as mark:
        mark.admit([head(3)])
        kept = len(path.read_bytes())
        mark.admit([head(4, origin=f"health.example/{n}") for n in range(100)])
    data = bytearray(path.read_bytes())
    data[kept + 500 : kept + 600] = bytes(100)
    path.write_bytes(data)
    with Watermark.open(path) as mark:
        assert mark.head("health.example/a") == head(3)
        assert mark.head("health.example/7") is None


def test_damage_before_a_good_group_is_not_forgotten(path: Path) -> None:
    with Watermark.open(path, create=True) as mark:
        mark.admit([head(3)])
        mark.admit([head(4)])
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match="damaged"):
        Watermark.open(path)
    path.write_bytes(b"something else\n")
    with pytest.raises(StoreCorrupt, match="newer release"):
        Watermark.open(path)


def test_a_missing_file_is_not_made_up(path: Path) -> None:
    with pytest.raises(StoreError, match="replace the finality keys"):
        Watermark.open(path)
    assert not path.exists()


def test_one_process_at_a_time(path: Path) -> None:
    with Watermark.open(path, create=True), pytest.raises(StoreBusy):
        Watermark.open(path)
    Watermark.open(path).close()


def test_old_lines_are_dropped_when_it_has_grown(path: Path) -> None:
    with Watermark.open(path, create=True) as mark:
        for size in range(1, 21):
            mark.admit([head(size, origin=f"health.example/{n}") for n in range(1000)])
    grown = path.stat().st_size
    with Watermark.open(path) as mark:
        assert path.stat().st_size < grown // 5
        mark.admit([head(21, origin="health.example/7")])
    with Watermark.open(path) as mark:
        assert mark.head("health.example/7") == head(21, origin="health.example/7")
        assert mark.head("health.example/999") == head(20, origin="health.example/999")


def test_a_full_disk_signs_nothing_more(path: Path) -> None:
    script = """
import resource, signal, sys
from tocsin.store.watermark import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
mark = Watermark.open(sys.argv[1], create=True)
mark.admit([SignedHead("o", 1, bytes(32))])
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
for size in (2, 3):
    try:
        mark.admit([SignedHead("o", size, bytes(32))])
    except Exception as error:
        print(type(error).__name__)
"""
    run = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [StoreFull.__name__, StoreError.__name__]
    with Watermark.open(path) as mark:
        assert mark.head("o") == SignedHead("o", 1, bytes(32))
    assert os.path.getsize(path) > 0
