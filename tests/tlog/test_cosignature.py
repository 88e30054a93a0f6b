import pytest

from tests.tlog.keys import LOG, MEMBERS, Signer, verify
from tocsin.tlog import cosignature, note
from tocsin.tlog.cosignature import Cosigned, Cosigner, Opened, count, final_lines, final_since, open_note
from tocsin.tlog.note import Note, NoteError, VerifierKey

TEXT = "ledger.example/alpha\n3\nNmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n"
T = 1767225600
COSIGNERS = [member.cosigner for member in MEMBERS]


def checked(signed: Note, cosigners: list[Cosigner]) -> tuple[Cosigned, ...]:
    lines = final_lines(signed, cosigners)
    return count(lines, [verify(*line[:3]) for line in lines])


def test_worked_example_byte_for_byte() -> None:
    assert cosignature.message(TEXT, T) == f"cosignature/v1\ntime 1767225600\n{TEXT}".encode()
    assert note.format_line(MEMBERS[0].cosign(TEXT, T)) == (
        "— member0.example/w jqvVOAAAAABpVbkA+T+UylZ2Oktopz2sAaBfru5m8VxrwccMhCkYnxj9uwDUkhxw8cxjAA8JECxaOMXyWXhrn1sv"
        "5Che7fHrGUjJCA==\n"
    )


def test_known_lines_are_listed_and_counted() -> None:
    signed = Note(TEXT, (LOG.sign(TEXT), MEMBERS[2].cosign(TEXT, T + 2), MEMBERS[1].cosign(TEXT, T + 1)))
    lines = final_lines(signed, COSIGNERS)
    assert [(line.key, line.timestamp) for line in lines] == [(MEMBERS[2].public, T + 2), (MEMBERS[1].public, T + 1)]
    assert all(line.message == cosignature.message(TEXT, line.timestamp) for line in lines)
    counted = checked(signed, COSIGNERS)
    assert counted == tuple(sorted([Cosigned(MEMBERS[1].public, T + 1), Cosigned(MEMBERS[2].public, T + 2)]))


def test_one_key_counts_once() -> None:
    """A refreshed line, a repeated line, and the same key under a second name add nothing but the newest time."""
    alias = Signer("alias.example/w", MEMBERS[0].secret)
    signed = Note(TEXT, (
        MEMBERS[0].cosign(TEXT, T + 9),
        MEMBERS[0].cosign(TEXT, T),
        MEMBERS[0].cosign(TEXT, T),
        alias.cosign(TEXT, T + 5),
    ))  # fmt: skip
    assert len(final_lines(signed, [*COSIGNERS, alias.cosigner])) == 3
    assert checked(signed, [*COSIGNERS, alias.cosigner]) == (Cosigned(MEMBERS[0].public, T + 9),)
    assert final_lines(signed, [MEMBERS[1].cosigner]) == []


def test_a_line_that_fails_refuses_the_note() -> None:
    good = MEMBERS[0].cosign(TEXT, T)
    for position in (0, 7, 8, 71):
        value = bytearray(good.value)
        value[position] ^= 1
        with pytest.raises(NoteError):
            checked(Note(TEXT, (good, good._replace(value=bytes(value)))), COSIGNERS)
    with pytest.raises(NoteError, match="does not verify"):
        checked(Note(TEXT.replace("3", "4", 1), (good,)), COSIGNERS)


@pytest.mark.parametrize("value", [b"x" * 71, b"\x00" * 73, b"\x80" + b"\x00" * 71, b"x"])
def test_what_cannot_be_a_cosignature(value: bytes) -> None:
    line = MEMBERS[0].cosign(TEXT, T)._replace(value=value)
    with pytest.raises(NoteError, match="not a timestamped cosignature"):
        final_lines(Note(TEXT, (line,)), COSIGNERS)
    assert final_lines(Note(TEXT, (line,)), COSIGNERS[1:]) == []


def test_roles_do_not_mix() -> None:
    """A log signature and a cosignature of the same key and name are different keys."""
    both = Note(TEXT, (LOG.sign(TEXT),))
    assert final_lines(both, [LOG.cosigner]) == []
    assert note.signature_checks(Note(TEXT, (LOG.cosign(TEXT, T),)), LOG.log_key) == ()
    with pytest.raises(ValueError, match="not 01"):
        note.signature_checks(both, LOG.cosigner.vkey)


def test_verdicts_must_match_lines() -> None:
    lines = final_lines(Note(TEXT, (MEMBERS[0].cosign(TEXT, T),)), COSIGNERS)
    with pytest.raises(ValueError, match="zip"):
        count(lines, [])


def test_final_since_ignores_fast_clocks_above_the_quorum() -> None:
    cosigned = [Cosigned(bytes([i]) * 32, time) for i, time in enumerate((T, T + 1, T + 2, 2**63 - 1))]
    assert final_since(cosigned, 3) == T + 1
    assert final_since(cosigned, 4) == T
    assert final_since(cosigned, 5) is None
    with pytest.raises(ValueError, match="quorum"):
        final_since(cosigned, 0)


def test_open_note_reports_each_key_once_with_its_newest_time() -> None:
    signed = Note(TEXT, (LOG.sign(TEXT), MEMBERS[0].cosign(TEXT, T + 1), MEMBERS[0].cosign(TEXT, T)))
    keys = [MEMBERS[1].cosigner.vkey, MEMBERS[0].cosigner.vkey, LOG.log_key]
    assert open_note(signed, keys, verify) == (Opened(keys[1], T + 1), Opened(keys[2], None))
    with pytest.raises(NoteError, match="none of the known"):
        open_note(signed, keys[:1], verify)
    with pytest.raises(ValueError, match="not 01"):
        open_note(signed, [VerifierKey("x", 0x06, b"")], verify)


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_times_that_cannot_be_signed(timestamp: int) -> None:
    with pytest.raises(ValueError, match="time"):
        cosignature.message(TEXT, timestamp)
    with pytest.raises(ValueError, match="time"):
        cosignature.sign_line(MEMBERS[0].cosigner, timestamp, bytes(64))
    with pytest.raises(ValueError, match="64 bytes"):
        cosignature.sign_line(MEMBERS[0].cosigner, T, bytes(63))
