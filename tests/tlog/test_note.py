import base64
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tlog.keys import LOG, MEMBERS, verify
from tocsin.tlog import note
from tocsin.tlog.cosignature import open_note
from tocsin.tlog.note import COSIGNATURE, ED25519, Note, NoteError, Signature, VerifierKey, is_small_order, parse_vkey

TEXT = "ledger.example/alpha\n3\nNmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n"
SIGNED = note.format(TEXT, [LOG.sign(TEXT)])
# The specification's own example (C2SP signed-note).
SPEC_NOTE = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3"
    "ZekRwNtIc=\n"
).encode()


def test_worked_example_byte_for_byte() -> None:
    assert str(LOG.log_key) == "ledger.example/alpha+fd636d1a+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    assert str(MEMBERS[0].cosigner.vkey) == "member0.example/w+8eabd538+BEOnLnFEAXYt9mtowm373yaCquyfJHTspGE+QkoPuv08"
    assert SIGNED.decode() == TEXT + (
        "\n— ledger.example/alpha /WNtGus8nxF8vqfLIfFNaGYYC0/Eu9376AVlW9s2nVYg5FH7vK/Sv98izSkzG2+fGAuhTsP1P5+ddwdMi6JZ"
        "+pSkzA0=\n"
    )


def test_text_ends_at_the_last_empty_line() -> None:
    parsed = note.parse(SPEC_NOTE)
    assert parsed.text.endswith("\n\ned è subito sera.\n")
    assert [s.name for s in parsed.signatures] == ["quasimodo.example/salvatore"]
    assert note.format(parsed.text, parsed.signatures) == SPEC_NOTE


def test_lines_of_unknown_types_are_kept_and_ignored() -> None:
    stranger = Signature("elsewhere.example/x", b"\x01\x02\x03\x04", b"anything at all")
    parsed = note.parse(note.format(TEXT, [stranger, LOG.sign(TEXT), stranger]))
    assert parsed.signatures[0] == parsed.signatures[2] == stranger
    assert [opened.key for opened in open_note(parsed, [LOG.log_key], verify)] == [LOG.log_key]


def test_same_name_with_another_key_id_is_unknown() -> None:
    other = VerifierKey(LOG.name, ED25519, MEMBERS[0].public)
    with pytest.raises(NoteError, match="none of the known keys"):
        open_note(note.parse(SIGNED), [other], verify)


def test_a_bad_line_of_a_known_key_refuses_the_note() -> None:
    good = LOG.sign(TEXT)
    bad = good._replace(value=good.value[:-1] + bytes([good.value[-1] ^ 1]))
    for lines in ([bad], [good, bad], [bad, good]):
        with pytest.raises(NoteError, match="does not verify"):
            open_note(note.parse(note.format(TEXT, lines)), [LOG.log_key], verify)
    with pytest.raises(NoteError, match="63 bytes"):
        open_note(note.parse(note.format(TEXT, [good._replace(value=good.value[:-1])])), [LOG.log_key], verify)


def test_two_good_lines_of_one_key_are_one_signer() -> None:
    parsed = note.parse(note.format(TEXT, [LOG.sign(TEXT), LOG.sign(TEXT)]))
    assert len(note.signature_checks(parsed, LOG.log_key)) == 2
    assert len(open_note(parsed, [LOG.log_key], verify)) == 1


SIGNATURE = SIGNED.decode().splitlines()[-1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT.encode(),
        (TEXT + "\n").encode(),
        SIGNED[:-1],
        SIGNED + b"\n",
        SIGNED + b"text\n",
        SIGNED.replace(b"alpha\n", b"al\x07pha\n"),
        SIGNED.replace(b"alpha\n", b"alpha\r\n"),
        SIGNED.replace(b"alpha\n", b"al\tpha\n"),
        SIGNED.replace(b"alpha\n", b"al\xffpha\n"),
        SIGNED.replace(b"alpha\n", b"al\xed\xa0\x80pha\n"),
        SIGNED.replace("— ".encode(), b"- "),
        SIGNED.replace("— ".encode(), "—".encode()),
        SIGNED.replace("— ".encode(), "—  ".encode()),
        SIGNED.replace("— ledger.example/alpha".encode(), "— ".encode()),
        SIGNED.replace("— ledger".encode(), "— led+ger".encode()),
        SIGNED.replace("— ledger".encode(), "— led\u00a0ger".encode()),
        SIGNED.replace("— ledger".encode(), "— led\u3000ger".encode()),
        SIGNED.replace(b"A0=\n", b"A0\n"),
        SIGNED.replace(b"A0=\n", b"A1=\n"),
        SIGNED.replace(b"A0=\n", b"A0==\n"),
        SIGNED.replace(b"A0=\n", b"A0= \n"),
        SIGNED.replace(b"/WNt", b"_WNt"),
        SIGNED.replace(b"/WNt", b"/W Nt"),
        (TEXT + "\n— ledger.example/alpha \n").encode(),
        (TEXT + "\n— ledger.example/alpha /WNtGg==\n").encode(),
        (TEXT + "\n— ledger.example/alpha\n").encode(),
        (TEXT + "\n" + f"{SIGNATURE}\n" * 101).encode(),
        (TEXT + "x" * 1_000_000 + f"\n\n{SIGNATURE}\n").encode(),
    ],
)
def test_malformed_notes(data: bytes) -> None:
    with pytest.raises(NoteError):
        note.parse(data)


def test_a_hundred_lines_are_accepted() -> None:
    assert len(note.parse((TEXT + "\n" + f"{SIGNATURE}\n" * 100).encode()).signatures) == 100


@pytest.mark.parametrize("text", ["", "no newline", "control \x01\n", "surrogate \udc80\n", "tab\t\n"])
def test_texts_that_cannot_stand_in_a_note(text: str) -> None:
    with pytest.raises(ValueError, match=r"note|surrogates"):
        note.format(text, [LOG.sign(TEXT)])


def test_a_note_needs_a_signature() -> None:
    with pytest.raises(NoteError):
        note.format(TEXT, [])


lines = st.builds(
    Signature,
    st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="+"), min_size=1),
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=1, max_size=90),
)
texts = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], include_characters="\n")).map(
    lambda t: t + "\n"
)


@given(texts, st.lists(lines, min_size=1, max_size=5))
def test_every_note_survives_writing_and_reading(text: str, signatures: list[Signature]) -> None:
    assert note.parse(note.format(text, signatures)) == Note(text, tuple(signatures))


def test_mutants_are_refused_or_read_back_as_they_were() -> None:
    """Any note that parses is written back byte for byte, and no changed text opens under the known keys."""
    rng = random.Random(1767225600)
    keys = [LOG.log_key, MEMBERS[0].cosigner.vkey]
    original = note.format(TEXT, [LOG.sign(TEXT), MEMBERS[0].cosign(TEXT, 1767225600)])
    opened = 0
    for _ in range(4000):
        data = mutate(original, rng)
        try:
            parsed = note.parse(data)
        except NoteError:
            continue
        assert note.format(parsed.text, parsed.signatures) == data
        try:
            open_note(parsed, keys, verify)
        except NoteError:
            continue
        opened += 1
        assert parsed.text == TEXT
    assert opened, "some mutants hit only what a key does not cover; none opening means nothing was tested"


def mutate(data: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(data))
    piece = data[position : position + rng.randrange(1, 40)]
    choice = rng.randrange(5)
    if choice == 0:
        return data[:position] + bytes([data[position] ^ 1 << rng.randrange(8)]) + data[position + 1 :]
    if choice == 1:
        return data[:position] + data[position + len(piece) :]
    if choice == 2:
        return data[:position] + piece + data[position:]
    if choice == 3:
        return (
            data[:position] + rng.choice([b"\n", b"\n\n", b" ", "— ".encode(), b"=", b"+", b"\x00"]) + data[position:]
        )
    rows = data.splitlines(keepends=True)
    first, second = rng.randrange(len(rows)), rng.randrange(len(rows))
    rows[first], rows[second] = rows[second], rows[first]
    return b"".join(rows)


def test_vkeys_read_back() -> None:
    for key in (LOG.log_key, MEMBERS[0].cosigner.vkey):
        assert parse_vkey(str(key)) == key
    # "go.sum database tree" has spaces and could never be a key name; the checksum database signs as sum.golang.org.
    go = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert str(parse_vkey(go)) == go


def vkey_of(name: str, type: int, key: bytes) -> str:
    return f"{name}+{note.key_id(name, type, key).hex()}+{base64.b64encode(bytes([type]) + key).decode()}"


@pytest.mark.parametrize(
    ("vkey", "reason"),
    [
        ("", "form"),
        ("name+12345678", "form"),
        ("+12345678+AYqI", "empty"),
        ("na me+12345678+AYqI", "space"),
        (str(LOG.log_key).replace("fd63", "fd64"), "key id"),
        (str(LOG.log_key).replace("fd636d1a", "FD636D1A"), "key id"),
        (str(LOG.log_key)[:-1], "base64"),
        (vkey_of("ledger.example", 0x02, LOG.public), "type"),
        (vkey_of("ledger.example", 0x06, LOG.public), "type"),
        (vkey_of("ledger.example", ED25519, LOG.public[:-1]), "31 bytes"),
        (vkey_of("ledger.example", COSIGNATURE, bytes(32)), "small-order"),
        ("ledger.example+12345678+", "type"),
    ],
)
def test_bad_vkeys(vkey: str, reason: str) -> None:
    with pytest.raises(NoteError, match=re.escape(reason)):
        parse_vkey(vkey)


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def square_root(square: int) -> int | None:
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if root * root % P == square % P else None


def points(y: int) -> list[tuple[int, int]]:
    """The points of edwards25519 with this y, by solving the curve equation."""
    x = square_root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    return [] if x is None else [(x, y), (-x % P, y)]


def order_8_ys() -> list[int]:
    """A point of order 8 doubles to y = 0, so x^2 = -y^2 and d y^4 + 2 y^2 - 1 = 0."""
    root = square_root(4 + 4 * D)
    assert root is not None
    squares = [(-2 + sign * root) * pow(2 * D, -1, P) % P for sign in (1, -1)]
    ys = [y for square in squares if (y := square_root(square)) is not None]
    return [value for y in ys for value in (y, P - y)]


def double(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    factor = D * x * x % P * y * y % P
    return 2 * x * y * pow(1 + factor, -1, P) % P, (y * y + x * x) * pow(1 - factor, -1, P) % P


def test_small_order_list_is_complete_by_curve_arithmetic() -> None:
    """All eight points of order dividing 8, in every encoding that 255 bits and a sign leave room for."""
    found = {(0, 1)}
    for y in (0, 1, P - 1, *order_8_ys()):
        for point in points(y):
            assert double(double(double(point))) == (0, 1)
            found.add(point)
    assert len(found) == 8, "the torsion subgroup of the curve has exactly eight elements"
    encodings = set()
    for _, y in found:
        for representative in (y, y + P):
            if representative < 2**255:
                encodings |= {representative | sign << 255 for sign in (0, 1)}
    assert len(encodings) == 14
    for encoding in encodings:
        assert is_small_order(encoding.to_bytes(32, "little"))
    assert not is_small_order(LOG.public)
    assert not is_small_order((2).to_bytes(32, "little"))
    with pytest.raises(ValueError, match="32 bytes"):
        is_small_order(b"")
