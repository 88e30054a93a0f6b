from dataclasses import replace
from random import Random

import pytest

from tests.tlog.keys import LOG, MEMBERS, Signer, signed_checkpoint, verify
from tests.tlog.logs import MemoryLog, numbered
from tests.tlog.test_note import mutate
from tocsin.tlog import checkpoint, note, proof
from tocsin.tlog.checkpoint import Checkpoint
from tocsin.tlog.merkle import inclusion_proof
from tocsin.tlog.policy import Log, Policy, Witness, k_of_n
from tocsin.tlog.proof import Proof, ProofError, Witnessed, verify_proof

EXAMPLE = MemoryLog().append([b"a", b"b", b"c"])
T = 1767225600


def policy(threshold: int = 2, log: Signer = LOG) -> Policy:
    return k_of_n(Log(log.log_key), [Witness(m.name, m.cosigner.vkey) for m in MEMBERS], threshold)


def made(log: MemoryLog, index: int, cosigners: int = 2) -> Proof:
    signed = signed_checkpoint(log.size, log.root, cosigners=cosigners)
    return Proof(index, inclusion_proof(index, log.size, log.reader()), signed)


def test_worked_example_byte_for_byte() -> None:
    written = proof.format(made(EXAMPLE, 1, cosigners=1))
    assert written.decode() == (
        "c2sp.org/tlog-proof@v1\n"
        "index 1\n"
        "Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=\n"
        "WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=\n"
        "\n"
        "ledger.example/alpha\n"
        "3\n"
        "NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n"
        "\n"
        "— ledger.example/alpha /WNtGus8nxF8vqfLIfFNaGYYC0/Eu9376AVlW9s2nVYg5FH7vK/Sv98izSkzG2+fGAuhTsP1P5+ddwdMi6JZ+p"
        "SkzA0=\n"
        "— member0.example/w jqvVOAAAAABpVbkA+T+UylZ2Oktopz2sAaBfru5m8VxrwccMhCkYnxj9uwDUkhxw8cxjAA8JECxaOMXyWXhrn1sv5C"
        "he7fHrGUjJCA==\n"
    )
    verified = verify_proof(proof.parse(written), b"b", policy(1), verify)
    assert verified.checkpoint == Checkpoint(LOG.name, 3, EXAMPLE.root)
    assert (verified.index, verified.logs) == (1, (LOG.log_key,))
    assert verified.cosigners == (Witnessed(MEMBERS[0].name, T),)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000])
def test_proofs_of_any_size(size: int) -> None:
    log = MemoryLog().append(numbered(size))
    for index in (0, size // 2, size - 1):
        value = replace(made(log, index), extra=b"\x00context")
        assert proof.parse(proof.format(value)) == value
        assert verify_proof(value, b"entry %d" % index, policy(), verify).index == index


GOOD = made(EXAMPLE, 1)


@pytest.mark.parametrize(
    ("changed", "entry", "trusted", "sentence"),
    [
        (GOOD, b"c", policy(), "this is not entry 1"),
        (replace(GOOD, index=2), b"b", policy(), "this is not entry 2"),
        (replace(GOOD, index=3), b"b", policy(), "there is no entry 3"),
        (replace(GOOD, index=-1), b"b", policy(), "there is no entry -1"),
        (replace(GOOD, hashes=GOOD.hashes[:1]), b"b", policy(), "this is not entry 1"),
        (replace(GOOD, hashes=GOOD.hashes[::-1]), b"b", policy(), "this is not entry 1"),
        (GOOD, b"b", policy(3), "quorum of the policy is not met: cosigned by member0.example/w, member1.example/w"),
        (GOOD, b"b", policy(log=Signer.of("other.example", 1)), "names no log with the origin ledger.example/alpha"),
        (GOOD, b"b", policy(log=Signer.of(LOG.name, 2)), "the log ledger.example/alpha did not sign"),
        (replace(GOOD, checkpoint=b"nothing"), b"b", policy(), "the checkpoint is malformed"),
        (replace(GOOD, checkpoint=GOOD.checkpoint.replace(b"\n3\n", b"\n03\n")), b"b", policy(), "is malformed"),
        (
            replace(GOOD, checkpoint=GOOD.checkpoint.replace(b"\n3\n", b"\n4\n")),
            b"b",
            policy(),
            "signatures do not hold",
        ),
    ],
)
def test_what_fails_is_named(changed: Proof, entry: bytes, trusted: Policy, sentence: str) -> None:
    with pytest.raises(ProofError, match=sentence):
        verify_proof(changed, entry, trusted, verify)


def test_cosigners_without_the_log_prove_nothing() -> None:
    text = checkpoint.format(Checkpoint(LOG.name, 3, EXAMPLE.root))
    signed = note.format(text, [member.cosign(text, T) for member in MEMBERS])
    with pytest.raises(ProofError, match="did not sign"):
        verify_proof(replace(GOOD, checkpoint=signed), b"b", policy(), verify)


WRITTEN = proof.format(replace(GOOD, extra=b"context"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WRITTEN[:-1],
        WRITTEN.replace(b"@v1", b"@v2"),
        WRITTEN.replace(b"index 1\n", b""),
        WRITTEN.replace(b"index 1", b"index 01"),
        WRITTEN.replace(b"index 1", b"index  1"),
        WRITTEN.replace(b"index 1", b"index -1"),
        WRITTEN.replace(b"index 1", b"index 1 "),
        WRITTEN.replace(b"index 1", b"index 9223372036854775808"),
        WRITTEN.replace(b"index 1\n", b"index 1\nindex 1\n"),
        WRITTEN.replace(b"extra Y29udGV4dA==", b"extra "),
        WRITTEN.replace(b"extra Y29udGV4dA==", b"extra Y29udGV4dA"),
        WRITTEN.replace(b"extra Y29udGV4dA==", b"extra Y29udGV4dB=="),
        WRITTEN.replace(b"extra Y29udGV4dA==\n", b"extra Y29udGV4dA==\n" * 2),
        WRITTEN.replace(b"extra Y29udGV4dA==\nindex 1\n", b"index 1\nextra Y29udGV4dA==\n"),
        WRITTEN.replace(b"Aipp", b"_ipp"),
        WRITTEN.replace(b"Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=", b"Aipp"),
        WRITTEN.replace(b"index 1\n", b"index 1\n" + b"Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=\n" * 62),
        WRITTEN.replace(b"index 1\n", b"index 1\n\n"),
        WRITTEN.replace(b"\n", b"\r\n"),
        WRITTEN + b"x" * 1_100_000,
    ],
)
def test_malformed_proofs(data: bytes) -> None:
    with pytest.raises(ProofError):
        proof.parse(data)


def test_extra_data_has_a_limit() -> None:
    longest = replace(GOOD, extra=bytes(48_000))
    assert max(map(len, proof.format(longest).split(b"\n"))) < 65_536
    with pytest.raises(ProofError, match="48000"):
        proof.format(replace(GOOD, extra=bytes(48_001)))
    with pytest.raises(ProofError):
        proof.format(replace(GOOD, index=-1))


def test_mutants_of_a_proof_file_never_prove_more() -> None:
    rng = Random(T)
    held = 0
    for _ in range(2000):
        data = mutate(WRITTEN, rng)
        try:
            parsed = proof.parse(data)
            assert proof.format(parsed) == data
            verified = verify_proof(parsed, b"b", policy(), verify)
        except ProofError:
            continue
        held += 1
        assert (parsed.index, parsed.hashes) == (1, GOOD.hashes)
        assert verified.checkpoint == Checkpoint(LOG.name, 3, EXAMPLE.root)
    assert held, "changes of the unauthenticated extra data must not matter"
