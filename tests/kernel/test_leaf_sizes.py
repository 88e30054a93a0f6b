"""No leaf can outgrow its room (spec 10): outgoing ones and `charter` 32 KiB, `roster` 48 KiB, any 65,535 bytes."""

from tocsin.kernel.acts import Keys, PeerEntry, PeerMotion, PeerTerms, PinnedMember, Subject
from tocsin.kernel.charter import Rule, Threshold, Veto
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import Ballot, Opened, OrderAnswer, OrderReceipts, Original, PeerLeaf, Recorded, Source
from tocsin.kernel.words import MAX_INT

OUTGOING = 32 * 1024
ANY = 65_535
SLUG = "m" * 40
DIGEST = "f" * 64
KIND = "report." + "k" * 73
CODE = "icd11:" + "Z" * 74
ORIGIN = "o" * 150
IDS = [f"{number:03}{'m' * 37}" for number in range(100)]
ROLES = ["auditor", "lead", "member", "party", "relay", "reporter", "supervisor", "voter"]
RULE = Rule(
    KIND, SLUG, "supervise", ROLES, ROLES, Threshold(99, 100, False, 100), 10**9, 10**9,  # type: ignore[arg-type]
    Veto(["auditor", "supervisor", "voter"], 10**9), False, False, False, SLUG,
)  # fmt: skip
SUBJECT = Subject(CODE, [CODE] * 16, -200_000, 200_000, 4, "exercise")
SOURCE = Source([DIGEST] * 8, Original(DIGEST, DIGEST), DIGEST, DIGEST, MAX_INT, 100)


def recorded(members: int) -> bytes:
    ballots = [Ballot(one, "abstain", "no-patients", "officer", DIGEST, MAX_INT, False) for one in IDS[:members]]
    to = [(ORIGIN, MAX_INT), (ORIGIN, MAX_INT)]
    return encode(
        Recorded(
            DIGEST, KIND, ORIGIN, "exercise", DIGEST, SUBJECT, None, DIGEST, SOURCE, DIGEST, RULE, SLUG,
            IDS[:members], members, members, ballots, [], MAX_INT, MAX_INT, SLUG, SLUG, DIGEST, DIGEST, to,
        )
    )  # fmt: skip


def test_a_record_with_a_hundred_ballots_goes_out() -> None:
    assert len(recorded(100)) <= OUTGOING, len(recorded(100))
    assert len(recorded(100)) > len(recorded(10)) + 90 * 200


def test_an_opened_leaf_goes_out() -> None:
    leaf = Opened(
        DIGEST, MAX_INT, KIND, ORIGIN, "exercise", DIGEST, DIGEST, SUBJECT, None, DIGEST, SOURCE, DIGEST, RULE, SLUG,
        IDS, 100, 100, IDS, MAX_INT, MAX_INT, MAX_INT, DIGEST, DIGEST, [(ORIGIN, MAX_INT)],
    )  # fmt: skip
    assert len(encode(leaf)) <= OUTGOING


def test_receipts_of_a_hundred_addressees_go_out() -> None:
    answers = [OrderAnswer(one, MAX_INT, "cannot", SLUG, False, DIGEST) for one in IDS]
    leaf = OrderReceipts(DIGEST, "complete", MAX_INT, answers, SOURCE, [(ORIGIN, MAX_INT)])
    assert len(encode(leaf)) <= OUTGOING


def test_a_peer_of_a_hundred_members_fits_its_leaves() -> None:
    pinned = [PinnedMember(one, "lei:" + "e" * 76, DIGEST, "operator", False) for one in IDS]
    entry = PeerEntry(DIGEST, "parent", DIGEST, MAX_INT, pinned, MAX_INT, DIGEST, SLUG, PeerTerms(100_000, 100, 10**9))
    assert len(encode(PeerLeaf(ORIGIN, "removed", entry, DIGEST, MAX_INT))) <= ANY
    motion = PeerMotion("repin", ORIGIN, DIGEST, entry)
    ballots = [Ballot(one, "abstain", "no-patients", "officer", DIGEST, MAX_INT, False) for one in IDS]
    leaf = Recorded(
        DIGEST, "motion.peer", SLUG, "actual", None, None, motion, DIGEST, None, DIGEST, RULE, SLUG, IDS, 100, 100,
        ballots, [], MAX_INT, MAX_INT, None, None, DIGEST, DIGEST, [],
    )  # fmt: skip
    assert len(encode(leaf)) <= ANY, len(encode(leaf))


def test_keys_of_a_member_are_distinct_by_use() -> None:
    keys = Keys("0" * 64, "1" * 64, "2" * 64, "3" * 64, "self")
    assert keys.all() == ("0" * 64, "1" * 64, "2" * 64, "3" * 64)
