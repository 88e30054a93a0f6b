import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.tlog import checkpoint
from tocsin.tlog.checkpoint import MAX_SIZE, Checkpoint, CheckpointError
from tocsin.tlog.merkle import EMPTY_ROOT

ROOT = "NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE="
TEXT = f"ledger.example/alpha\n3\n{ROOT}\n"


def test_worked_example_byte_for_byte() -> None:
    value = Checkpoint("ledger.example/alpha", 3, base64.b64decode(ROOT))
    assert checkpoint.format(value) == TEXT
    assert checkpoint.parse(TEXT) == value


def test_an_origin_may_have_spaces() -> None:
    assert checkpoint.parse(f"go.sum database tree\n3\n{ROOT}\n").origin == "go.sum database tree"


def test_extension_lines_only_on_request() -> None:
    text = TEXT + "anything\n"
    with pytest.raises(CheckpointError, match="extension"):
        checkpoint.parse(text)
    assert checkpoint.parse(text, extensions=True) == checkpoint.parse(TEXT)
    with pytest.raises(CheckpointError, match="empty"):
        checkpoint.parse(text + "\n", extensions=True)


@given(st.from_regex(r"[a-z./+ ]{1,20}", fullmatch=True), st.integers(1, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_reads_what_it_writes(origin: str, size: int, root: bytes) -> None:
    value = Checkpoint(origin, size, root)
    assert checkpoint.parse(checkpoint.format(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        TEXT[:-1],
        TEXT + "\n",
        TEXT.replace("ledger.example/alpha", ""),
        TEXT.replace("ledger.example/alpha", "cosignature/v1"),
        TEXT.replace("ledger.example/alpha", "led\tger"),
        TEXT.replace("\n3\n", "\n\n"),
        TEXT.replace("\n3\n", "\n03\n"),
        TEXT.replace("\n3\n", "\n+3\n"),
        TEXT.replace("\n3\n", "\n-3\n"),
        TEXT.replace("\n3\n", "\n3 \n"),
        TEXT.replace("\n3\n", "\n0x3\n"),
        TEXT.replace("\n3\n", "\n1_0\n"),
        TEXT.replace("\n3\n", "\n٣\n"),
        TEXT.replace("\n3\n", "\n³\n"),
        TEXT.replace("\n3\n", f"\n{2**63}\n"),
        TEXT.replace("\n3\n", "\n" + "9" * 100_000 + "\n"),
        TEXT.replace("\n3\n", "\n0\n"),
        TEXT.replace("HsE=", "HsF="),
        TEXT.replace("HsE=", "HsE"),
        TEXT.replace("HsE=", "HsE=="),
        TEXT.replace("HsE=", "A=="),
        TEXT.replace(ROOT, ""),
        TEXT.replace(ROOT, base64.b64encode(bytes(33)).decode()),
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(CheckpointError):
        checkpoint.parse(text)


@pytest.mark.parametrize(
    "value",
    [
        Checkpoint("", 1, EMPTY_ROOT),
        Checkpoint("a\nb", 1, EMPTY_ROOT),
        Checkpoint("cosignature/v1", 1, EMPTY_ROOT),
        Checkpoint("a", -1, EMPTY_ROOT),
        Checkpoint("a", MAX_SIZE + 1, EMPTY_ROOT),
        Checkpoint("a", 1, b""),
        Checkpoint("a", 0, bytes(32)),
    ],
)
def test_values_that_cannot_be_a_checkpoint(value: Checkpoint) -> None:
    with pytest.raises(CheckpointError):
        checkpoint.format(value)


def test_the_empty_log() -> None:
    value = Checkpoint("a", 0, EMPTY_ROOT)
    assert checkpoint.parse(checkpoint.format(value)) == value
