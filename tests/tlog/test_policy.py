import re
from itertools import combinations

import pytest

from tests.tlog.keys import LOG, MEMBERS
from tocsin.tlog import note, policy
from tocsin.tlog.note import VerifierKey
from tocsin.tlog.policy import Group, Log, Policy, PolicyError, Witness, k_of_n, satisfied

KEYS = [member.public for member in MEMBERS]
VKEYS = [str(member.cosigner.vkey) for member in MEMBERS]
TWO_LEVELS = f"""\
# who is believed

log {LOG.log_key} https://log.example/
\twitness X1 {VKEYS[0]}  https://x1.example/
witness X2\t{VKEYS[1]}
witness X3 {VKEYS[2]}
  # a comment
group X 2 X1 X2 X3
witness Y1 {VKEYS[3]}
group all-of-it all X Y1
quorum all-of-it
""".encode()


def test_reads_the_file() -> None:
    read = policy.parse(TWO_LEVELS)
    assert read.logs == (Log(LOG.log_key, "https://log.example/"),)
    assert [w.name for w in read.witnesses] == ["X1", "X2", "X3", "Y1"]
    assert read.witnesses[0].url == "https://x1.example/"
    assert read.groups == (Group("X", 2, ("X1", "X2", "X3")), Group("all-of-it", 2, ("X", "Y1")))
    assert policy.parse(policy.format(read)) == read


def test_quorum_over_groups_in_every_combination() -> None:
    read = policy.parse(TWO_LEVELS)
    for number in range(5):
        for chosen in combinations(range(4), number):
            wanted = len([i for i in chosen if i < 3]) >= 2 and 3 in chosen
            assert satisfied(read, [KEYS[i] for i in chosen]) is wanted
    assert not satisfied(read, [KEYS[0], KEYS[0], KEYS[3]]), "a key counts once"
    assert not satisfied(read, [LOG.public, KEYS[0], KEYS[3]]), "the log is no witness"


def test_single_witness_any_and_none() -> None:
    head = f"witness a {VKEYS[0]}\nwitness b {VKEYS[1]}\n"
    one = policy.parse(f"{head}quorum a\n".encode())
    assert satisfied(one, KEYS[:1])
    assert not satisfied(one, KEYS[1:])
    either = policy.parse(f"{head}group g any a b\nquorum g\n".encode())
    assert satisfied(either, KEYS[1:2])
    assert not satisfied(either, [])
    assert satisfied(policy.parse(b"quorum none\n"), [])


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_k_of_n(k: int) -> None:
    made = k_of_n(Log(LOG.log_key), [Witness(m.name, m.cosigner.vkey) for m in MEMBERS], k)
    for n in range(5):
        assert satisfied(made, KEYS[:n]) is (n >= k)


def test_k_of_n_is_checked_as_a_file_is() -> None:
    witnesses = [Witness(m.name, m.cosigner.vkey) for m in MEMBERS]
    for bad, k in ((witnesses, 0), (witnesses, 5), (witnesses * 2, 3), ([], 1)):
        with pytest.raises(PolicyError):
            k_of_n(Log(LOG.log_key), bad, k)


def test_names_are_octets() -> None:
    text = f"witness K {VKEYS[0]}\nwitness \u212a {VKEYS[1]}\n".encode() + b"witness \xff " + VKEYS[2].encode()
    read = policy.parse(text + b"\ngroup g all K \xe2\x84\xaa \xff\nquorum g\n")
    assert len(read.witnesses) == 3
    assert policy.parse(policy.format(read)) == read
    assert b"\xff" in policy.format(read)
    # Only space and tab separate; other blanks belong to a name.
    assert policy.parse(f"witness a\u00a0b {VKEYS[0]}\nquorum a\u00a0b\n".encode()).quorum == "a\u00a0b"


W = f"witness a {VKEYS[0]}\nwitness b {VKEYS[1]}\n"
OTHER_NAME = VerifierKey("elsewhere.example", note.COSIGNATURE, KEYS[0])
OTHER_LOG = VerifierKey("elsewhere.example", note.ED25519, LOG.public)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "quorum"),
        ("quorum none", 1, "newline"),
        (W, 3, "quorum"),
        (f"{W}quorum c\n", 3, "no line before"),
        (f"quorum a\n{W}", 1, "no line before"),
        (f"{W}quorum a\nquorum b\n", 4, "second quorum"),
        (f"{W}quorum a b\n", 3, "is not one of"),
        (f"{W}quorum\n", 3, "is not one of"),
        (f"{W}group g 1\nquorum g\n", 3, "is not one of"),
        (f"{W}group g 0 a b\nquorum g\n", 3, "0 of 2"),
        (f"{W}group g 3 a b\nquorum g\n", 3, "3 of 2"),
        (f"{W}group g 01 a b\nquorum g\n", 3, "threshold"),
        (f"{W}group g most a b\nquorum g\n", 3, "threshold"),
        (f"{W}group g all a a\nquorum g\n", 3, "already a member"),
        (f"{W}group g all a\ngroup h all a b\nquorum h\n", 4, "already a member"),
        (f"{W}group g all a g\nquorum g\n", 3, "no line before"),
        (f"{W}group g all a none\nquorum g\n", 3, "no line before"),
        (f"{W}group a all b\nquorum a\n", 3, "taken"),
        (f"{W}group none all b\nquorum none\n", 3, "taken"),
        (f"{W}witness a {VKEYS[2]}\nquorum a\n", 3, "taken"),
        (f"{W}witness none {VKEYS[2]}\nquorum a\n", 3, "taken"),
        (f"{W}witness c {OTHER_NAME}\nquorum a\n", 3, "second time"),
        (f"log {LOG.log_key}\nlog {OTHER_LOG}\nquorum none\n", 2, "second time"),
        (f"log {VKEYS[0]}\nquorum none\n", 1, "type"),
        (f"witness a {LOG.log_key}\nquorum a\n", 1, "type"),
        (f"witness a {VKEYS[0][:-4]}\nquorum a\n", 1, ""),
        (f"witness a {VKEYS[0]} url more\nquorum a\n", 1, "is not one of"),
        (f"log {LOG.log_key} url more\nquorum none\n", 1, "is not one of"),
        ("log\nquorum none\n", 1, "is not one of"),
        ("Quorum none\n", 1, "is not one of"),
        ("quorum none # trailing\n", 1, "is not one of"),
        ("quorum none\r\n", 1, "control"),
        ("# a\x7fb\nquorum none\n", 1, "control"),
    ],
)
def test_malformed_policies(text: str, line: int, reason: str) -> None:
    with pytest.raises(PolicyError, match=f"^line {line}: .*{re.escape(reason)}"):
        policy.parse(text.encode())


def test_a_policy_has_a_size() -> None:
    with pytest.raises(PolicyError, match="at most"):
        policy.parse(b"#" * 1_000_001)


def test_format_is_plain() -> None:
    made = Policy((Log(LOG.log_key),), (Witness("a", MEMBERS[0].cosigner.vkey, "https://a/"),), (), "a")
    assert policy.format(made).decode() == f"log {LOG.log_key}\nwitness a {VKEYS[0]} https://a/\nquorum a\n"
