"""Signing: what the SDK signs is what the kernel asks for (spec 1, spec 3, spec 8, spec 10)."""

import pytest
from msgspec.structs import replace

from tests.client.world import HOUR, PEOPLE, World, judge, keys_of, report, signer
from tocsin.client import signing
from tocsin.client.signing import SeedSigner, Signer, SigningError, verify_signature
from tocsin.kernel.acts import AdmitMotion, Annotate, Submit
from tocsin.kernel.envelope import Envelope, decode
from tocsin.kernel.genesis import founding_checks
from tocsin.kernel.leaves import RosterLeaf
from tocsin.tlog import Checkpoint, checkpoint, cosignature, note
from tocsin.tlog.note import ED25519, VerifierKey

RFC_8032_TEST_2 = (
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
)


def everybody(world: World) -> dict[str, list[Signer]]:
    return {one: [signer(world.origin, one, role) for role in ("act", "finality", "root")] for one in PEOPLE}


def test_seed_signer_is_ed25519() -> None:
    seed, public, signature = RFC_8032_TEST_2
    made = SeedSigner(bytes.fromhex(seed))
    assert made.public_key == public
    assert made.sign(b"\x72").hex() == signature
    assert made.seed.hex() == seed
    assert verify_signature(bytes.fromhex(public), b"\x72", bytes.fromhex(signature))
    with pytest.raises(SigningError, match="32 bytes, not 31"):
        SeedSigner(b"x" * 31)


def test_signatures_are_judged_as_libsodium_judges() -> None:
    made = SeedSigner.generate()
    key, good = bytes.fromhex(made.public_key), made.sign(b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    malleable = good[:32] + (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little")
    assert verify_signature(key, b"m", good)
    for wrong in ((key, b"n", good), (key, b"m", malleable), (key, b"m", good[:-1]), (key[:-1], b"m", good)):
        assert not verify_signature(*wrong)
    # A key of small order accepts this signature of everything in a naive implementation.
    assert not verify_signature(b"\x01" + bytes(31), b"m", b"\x01" + bytes(63))


def test_envelopes_are_what_the_kernel_decodes() -> None:
    world = World()
    acts = [report(), judge("11" * 32)]
    data = signing.sign_acts(world.acting["annan"], world.genesis.digest, "annan", world.at + 600_000, acts)
    read = decode(data)
    assert isinstance(read, Envelope)
    assert list(read.acts) == acts
    assert read.key == world.acting["annan"].public_key
    assert verify_signature(bytes.fromhex(read.key), read.signed, read.signature)


def test_what_no_network_takes_is_not_signed() -> None:
    made = SeedSigner.generate()
    cases = [
        ([], "holds no act"),
        ([judge("11" * 32)] * 257, "more than 256"),
        ([Annotate("11" * 32, "update", None)] * 256 + [judge("11" * 32)], "more than 256"),
        ([Annotate("no digest", "update", None)], "wrong kind"),
        ([Submit("report." + "x" * 80, None, None, None, None)], "wrong kind"),
        ([report(body="11" * 32)] * 250, "larger than 64 KiB"),
    ]
    for acts, sentence in cases:
        with pytest.raises(SigningError, match=sentence):
            signing.sign_acts(made, "00" * 32, "annan", 1, acts)  # type: ignore[arg-type]


def test_founding_by_all_keys_of_all_members() -> None:
    world = World()
    founding = signing.found_with(world.genesis, everybody(world))
    assert len(founding.signatures) == 3 * len(PEOPLE)
    assert all(verify_signature(*check) for check in founding_checks(world.genesis, founding))
    signing.verify_founding(world.genesis, founding)


def test_a_ceremony_says_what_is_missing_or_wrong() -> None:
    world = World()
    people = everybody(world)
    given = [signing.sign_founding(one, world.genesis, name) for name in people for one in people[name]]
    assert signing.assemble_founding(world.genesis, given[::-1]) == signing.found_with(world.genesis, people)
    with pytest.raises(SigningError, match="lacks a signature"):
        signing.assemble_founding(world.genesis, given[1:])
    with pytest.raises(SigningError, match="lacks a signature"):
        signing.assemble_founding(world.genesis, [*given, given[0]])
    forged = replace(given[0], signature=given[1].signature)
    with pytest.raises(SigningError, match=f"founding signature of {given[0].member} .* does not hold"):
        signing.assemble_founding(world.genesis, [forged, *given[1:]])
    with pytest.raises(SigningError, match="does not name the key"):
        signing.sign_founding(people["annan"][0], world.genesis, "beimen")
    with pytest.raises(SigningError, match="does not name the key"):
        signing.sign_founding(people["annan"][0], world.genesis, "nobody")
    other = World("health.example/other")
    with pytest.raises(SigningError, match="for another genesis"):
        signing.verify_founding(other.genesis, signing.assemble_founding(world.genesis, given))


def test_possession_admits_and_rotation_rotates() -> None:
    world = World()
    keys = keys_of(world.origin, "houbi")
    held = [signer(world.origin, "houbi", role) for role in ("finality", "act", "root")]
    expires = world.at + 100 * HOUR
    proofs = signing.prove_possession(held, world.genesis.digest, "houbi", keys, expires)
    with pytest.raises(SigningError, match="Nobody here holds the key"):
        signing.prove_possession(held[1:], world.genesis.digest, "houbi", keys, expires)
    terms = AdmitMotion("houbi", "test:houbi", ["reporter", "voter"], keys, expires, proofs)
    motion = world.submit("annan", Submit("motion.admit", None, None, terms, None))
    world.block(("beimen", judge(motion)), ("cigu", judge(motion)))
    assert world.state.members["houbi"].keys == keys
    new = SeedSigner.generate()
    world.finality["houbi"] = signer(world.origin, "houbi", "finality")
    act = signing.rotation(new, world.genesis.digest, "houbi", "act")
    read = decode(world.envelope_of("houbi", [act], key=held[2]))
    assert isinstance(read, Envelope)
    assert world.apply([read]).receipts == [[0]]
    assert world.state.members["houbi"].keys.act == new.public_key
    assert isinstance(world.decoded[-2], RosterLeaf)


def test_checkpoint_lines_open_with_the_keys_of_the_log() -> None:
    log, member = SeedSigner.generate(), SeedSigner.generate()
    head = Checkpoint("health.example/n", 3, b"\x05" * 32)
    lines = [signing.sign_checkpoint(log, head), signing.cosign_checkpoint(member, "annan", head, 1_438_387_200)]
    parsed = note.parse(note.format(checkpoint.format(head), lines))
    keys = [
        VerifierKey("health.example/n", ED25519, bytes.fromhex(log.public_key)),
        cosignature.Cosigner("health.example/n/annan", bytes.fromhex(member.public_key)).vkey,
    ]
    opened = cosignature.open_note(parsed, keys, verify_signature)
    assert [one.timestamp for one in opened] == [None, 1_438_387_200]
