"""Founding by files: what was changed on its way, or says another thing than somebody said, is not signed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tocsin import charters
from tocsin.client.signing import SeedSigner, verify_founding
from tocsin.kernel.acts import Keys
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import Founder, Founding, decode_genesis
from tocsin.node import ceremony
from tocsin.node.ceremony import CeremonyError, Offer
from tocsin.node.home import neighbours
from tocsin.node.home.config import CometUse, NetworkUse
from tocsin.node.keys import Keystore, KeystoreError

NET = "x.example/n1"
NAMES = ["a", "b", "c", "s"]
DAY_MS = 86_400_000


def keystore(name: str) -> Keystore:
    store = Keystore()
    for role in ceremony.ROLES:
        store.add(NET, name, role, SeedSigner.generate())
    return store


def offer(store: Keystore, name: str, admission: tuple[str, int] | None = None) -> Offer:
    roles = ["supervisor"] if name == "s" else ["voter", "reporter"]
    return ceremony.make_offer(
        NET, name, f"lei:{name}", roles, f"http://{name}.example:8440", f"{NAMES.index(name):040x}@{name}.example:26656",
        lambda role: store.signer(NET, name, role), admission,
    )  # fmt: skip


def pilot(founders: Sequence[Founder]) -> Charter:
    return charters.for_network("pilot", 3, 1)[0]


@pytest.fixture
def stores() -> dict[str, Keystore]:
    return {name: keystore(name) for name in NAMES}


@pytest.fixture
def papers(tmp_path: Path, stores: dict[str, Keystore]) -> Path:
    """Four offers and the genesis of them."""
    for name, store in stores.items():
        (tmp_path / f"{name}.founder").write_bytes(encode(offer(store, name)))
    ceremony.assemble(tmp_path, pilot, 1000)
    return tmp_path


def digest(papers: Path) -> str:
    return ceremony.read_genesis(papers / ceremony.GENESIS).digest


def test_a_network_is_founded_and_all_have_the_key_of_its_log(papers: Path, stores: dict[str, Keystore]) -> None:
    logs = {ceremony.sign(papers, name, digest(papers), [store]).public_key for name, store in stores.items()}
    ceremony.collect(papers)
    genesis = decode_genesis((papers / ceremony.GENESIS).read_bytes())
    verify_founding(genesis, msgspec.json.decode((papers / ceremony.FOUNDING).read_bytes(), type=Founding))
    assert logs == {genesis.log_key}
    assert [one.id for one in genesis.members] == NAMES
    assert genesis.members[0].roles == ["reporter", "voter"]


def test_the_root_key_may_lie_in_another_keystore(papers: Path, stores: dict[str, Keystore]) -> None:
    held = stores["a"].entries()
    node, safe = (Keystore(key for key in held if (key.role == "root") is root) for root in (False, True))
    ceremony.sign(papers, "a", digest(papers), [node, safe])
    with pytest.raises(KeystoreError, match="no root key of a"):
        ceremony.sign(papers, "a", digest(papers), [node])


def test_collecting_says_whose_signatures_are_not_there(papers: Path, stores: dict[str, Keystore]) -> None:
    for name in ("a", "c"):
        ceremony.sign(papers, name, digest(papers), [stores[name]])
    with pytest.raises(CeremonyError, match="signatures of b, s are not in"):
        ceremony.collect(papers)


def test_signatures_of_another_are_not_collected(papers: Path, stores: dict[str, Keystore]) -> None:
    for name, store in stores.items():
        ceremony.sign(papers, name, digest(papers), [store])
    path = papers / "b.signatures"
    path.write_bytes(path.read_bytes().replace(b'"signature":"', b'"signature":"0000', 1).replace(b'"},', b'"},', 1))
    with pytest.raises(CeremonyError, match=r"b\.signatures"):
        ceremony.collect(papers)
    path.write_bytes((papers / "a.signatures").read_bytes())
    with pytest.raises(CeremonyError, match="lacks a signature"):
        ceremony.collect(papers)


def change_founder(papers: Path, keys: Keys | None = None, **change: object) -> None:
    path = papers / ceremony.GENESIS
    genesis = decode_genesis(path.read_bytes())
    first = msgspec.structs.replace(genesis.members[0], **change)
    if keys is not None:
        first = msgspec.structs.replace(first, keys=keys)
    path.write_bytes(encode(msgspec.structs.replace(genesis, members=[first, *genesis.members[1:]])))


def another_key(papers: Path) -> None:
    genesis = decode_genesis((papers / ceremony.GENESIS).read_bytes())
    key = SeedSigner.generate().public_key
    change_founder(papers, msgspec.structs.replace(genesis.members[0].keys, root=key))


def other_roles(papers: Path) -> None:
    change_founder(papers, roles=["supervisor", "voter"])


def one_less(papers: Path) -> None:
    path = papers / ceremony.GENESIS
    genesis = decode_genesis(path.read_bytes())
    path.write_bytes(encode(msgspec.structs.replace(genesis, members=genesis.members[1:])))


def no_offer(papers: Path) -> None:
    (papers / "a.founder").unlink()


def an_unlawful_charter(papers: Path) -> None:
    path = papers / ceremony.GENESIS
    genesis = decode_genesis(path.read_bytes())
    charter = msgspec.structs.replace(genesis.charter, rules=genesis.charter.rules[:1])
    path.write_bytes(encode(msgspec.structs.replace(genesis, charter=charter)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (another_key, r"does not say of a what a\.founder says"),
        (other_roles, r"does not say of a what a\.founder says"),
        (one_less, "leaves out a"),
        (no_offer, r"lacks a\.founder"),
        (an_unlawful_charter, "charter cannot be used"),
    ],
)
def test_a_genesis_that_says_another_thing_is_not_signed(
    papers: Path, stores: dict[str, Keystore], change: Callable[[Path], None], said: str
) -> None:
    change(papers)
    with pytest.raises(CeremonyError, match=said):
        ceremony.check(papers)
    with pytest.raises(CeremonyError, match=said):
        ceremony.sign(papers, "b", digest(papers), [stores["b"]])
    assert not (papers / "b.signatures").exists()


def test_another_digest_than_was_read_out_is_not_signed(papers: Path, stores: dict[str, Keystore]) -> None:
    with pytest.raises(CeremonyError, match="Sign nothing"):
        ceremony.sign(papers, "a", message_id(digest(papers), 0), [stores["a"]])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"lei:a"', b'"lei:z"'),
        (b'"x.example/n1"', b'"x.example/n2"'),
        (b"http://a.example", b"http://b.example"),
        (b"@a.example", b"@b.example"),
        (b'"voter"]', b'"supervisor"]'),
    ],
)
def test_an_offer_that_was_changed_is_known_by_its_signatures(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "a.founder"
    data = encode(offer(keystore("a"), "a"))
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(CeremonyError, match="changed on its way"):
        ceremony.read_offer(path)


def test_an_offer_to_be_admitted_is_proven_for_its_network_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.founder"
    made = offer(keystore("a"), "a", ("0" * 64, DAY_MS))
    path.write_bytes(encode(made))
    assert ceremony.read_offer(path) == made
    assert made.admission is not None
    later = msgspec.structs.replace(made, admission=msgspec.structs.replace(made.admission, expires=2 * DAY_MS))
    path.write_bytes(encode(later))
    with pytest.raises(CeremonyError, match="changed on its way"):
        ceremony.read_offer(path)


def test_the_key_of_the_log_is_for_founders_and_is_that_of_the_genesis(
    papers: Path, stores: dict[str, Keystore]
) -> None:
    sealed = msgspec.json.decode((papers / ceremony.LOG_KEY).read_bytes())
    sealed["boxes"]["a"], sealed["boxes"]["b"] = sealed["boxes"]["b"], sealed["boxes"]["a"]
    (papers / ceremony.LOG_KEY).write_bytes(encode(sealed))
    with pytest.raises(CeremonyError, match="holds nothing for a"):
        ceremony.sign(papers, "a", digest(papers), [stores["a"]])


def test_a_genesis_is_not_assembled_over_another(papers: Path) -> None:
    with pytest.raises(CeremonyError, match="exists"):
        ceremony.assemble(papers, pilot, 2000)


def test_values_of_the_wrong_form_are_no_offer() -> None:
    store = keystore("a")
    with pytest.raises(CeremonyError, match="form"):
        ceremony.make_offer(
            NET, "a", "no scheme", ["voter"], "http://a.example", "0" * 40 + "@a.example:1",
            lambda role: store.signer(NET, "a", role),
        )  # fmt: skip


def test_neighbours_come_from_offers() -> None:
    use = NetworkUse(NET, "cometbft", "b", cometbft=CometUse())
    of_a = offer(keystore("a"), "a")
    met = neighbours.meet(use, of_a)
    assert met.members == {"a": "http://a.example:8440"}
    assert met.cometbft.peers == {"a": of_a.comet}
    moved = msgspec.structs.replace(of_a, url="http://elsewhere.example:8440")
    assert neighbours.meet(met, moved).members == {"a": "http://elsewhere.example:8440"}
    assert neighbours.part(met, of_a) == use
    own = neighbours.meet(use, offer(keystore("b"), "b"))
    assert own == msgspec.structs.replace(use, cometbft=CometUse(announce="b.example:26656"))
