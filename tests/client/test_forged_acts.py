"""Acts that nobody signed so, and acts of people who had no part."""

from collections.abc import Callable
from typing import Any

from msgspec import Raw
from msgspec.json import decode as decode_json
from msgspec.structs import replace

from tests.client.forging import by_author, checked, in_order, place_of, shown, swapped, with_acts
from tests.client.histories import finding
from tests.client.world import HOUR, World, judge, keys_of, signer
from tocsin.client.dossier import ShownAct, build_dossier
from tocsin.client.policy import policy_of_roster
from tocsin.client.report import Report
from tocsin.client.signing import SeedSigner, prove_possession, sign_acts
from tocsin.kernel.acts import (
    Acknowledge,
    AdmitMotion,
    Annotate,
    Concur,
    RelayAct,
    Submit,
    VetoAct,
)  # fmt: skip
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, decode, encode, unsigned
from tocsin.kernel.leaves import Annotated, Final, FindingLeaf, Opened, Relayed, RosterLeaf, Settled
from tocsin.tlog import VerifierKey, note
from tocsin.tlog.note import Signature


def test_ballots_must_be_signed_by_their_members_own_keys(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    ballot = judge(message)

    def sealed(
        key: SeedSigner, until: int = 60_000, genesis: str = world.genesis.digest, author: str = "beimen"
    ) -> bytes:
        return sign_acts(key, genesis, author, world.at + until, [ballot])

    beimen, cigu = world.acting["beimen"], world.acting["cigu"]
    assert with_acts(world, message, swapped("beimen", sealed(beimen))).ok
    cases = [
        (sealed(cigu), "An act of beimen is not signed with its act key of epoch 1."),
        (sealed(signer(world.origin, "beimen", "root")), "An act of beimen is not signed with its act key"),
        (sealed(world.finality["beimen"]), "An act of beimen is not signed with its act key"),
        (sealed(SeedSigner.generate()), "An act of beimen is not signed with its act key"),
        (sealed(beimen, until=HOUR + 1), "was not valid when it counted"),
        (sealed(beimen, until=-2 * HOUR), "was not valid when it counted"),
        (sealed(beimen, genesis="00" * 32), "An envelope of beimen is for another network"),
        (sealed(cigu, author="cigu"), "lacks the signed act"),
    ]
    for data, sentence in cases:
        result = with_acts(world, message, swapped("beimen", data))
        assert not result.ok
        assert sentence in result.lines[-1].text


def test_signatures_and_digests_of_acts_are_recomputed(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    other = judge("11" * 32)

    def each(change: Callable[[ShownAct], ShownAct]) -> Report:
        return with_acts(world, message, lambda acts: [change(acts[0]), *acts[1:]])

    cases = [
        (each(lambda act: replace(act, signature="00" * 64)), "The signature of"),
        (each(lambda act: replace(act, key=world.acting["danei"].public_key)), "The signature of"),
        (each(lambda act: replace(act, key="00" * 32)), "The signature of"),
        (each(lambda act: replace(act, key="ff" * 32)), "The signature of"),
        (each(lambda act: replace(act, act=Raw(encode(other)))), "is not one that"),
        (each(lambda act: replace(act, others=["00" * 32])), "is not one that"),
        (each(lambda act: replace(act, index=1)), "is not one that"),
        (each(lambda act: replace(act, header=Raw(bytes(act.header).replace(b'"v":1', b'"v":2')))), "another version"),
        (each(lambda act: replace(act, act=Raw(b" " + bytes(act.act)))), "is not canonical"),
        (each(lambda act: replace(act, act=Raw(b"[" * 900 + b"]" * 900))), "cannot be read"),
        (with_acts(world, message, lambda acts: acts[::-1]), "The acts are not sorted"),
        (with_acts(world, message, lambda acts: [*acts, acts[-1]]), "or one stands twice"),
        (with_acts(world, message, lambda acts: acts[1:]), "lacks the signed act"),
    ]
    for result, sentence in cases:
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_what_a_member_signed_out_of_form_does_not_count(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    key = world.acting["beimen"]
    true = shown(sign_acts(key, world.genesis.digest, "beimen", world.at + 60_000, [judge(message)]))
    kind = b"application/vnd.tocsin.acts+json"
    for payload in (
        bytes(true.header).replace(b'"v":1,', b'"v": 1,'),
        bytes(true.header).replace(b'"v":1,', b'"v":1,"v":1,'),
        bytes(true.header).replace(b'"acts":1', b'"acts":1.0'),
    ):
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        act = replace(true, header=Raw(payload), signature=key.sign(signed).hex())
        result = with_acts(
            world, message, lambda acts, act=act: [act if by_author(one, "beimen") else one for one in acts]
        )  # type: ignore[misc]
        assert not result.ok
        assert "is not canonical" in result.lines[-1].text or "cannot be read" in result.lines[-1].text


def test_a_header_that_counts_its_acts_wrong_does_not_count(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    key = world.acting["beimen"]
    draft = unsigned(world.genesis.digest, "beimen", world.at + 60_000, [judge(message)])
    payload = draft.payload.replace(b'"acts":1', b'"acts":2')
    kind = b"application/vnd.tocsin.acts+json"
    signature = key.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    act = ShownAct(Raw(payload), key.public_key, signature.hex(), 0, Raw(draft.acts[0]), [])
    result = with_acts(world, message, lambda acts: [act if by_author(one, "beimen") else one for one in acts])
    assert "is not one that beimen signed in the envelope shown for it" in result.lines[-1].text


def test_another_sort_of_act_is_no_ballot(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    data = sign_acts(world.acting["beimen"], world.genesis.digest, "beimen", world.at, [Concur(message)])
    read = decode(data)
    assert isinstance(read, Envelope)
    place = place_of(world, Final, message)
    record = world.decoded[place]
    assert isinstance(record, Final)
    lie = [replace(one, act=read.act_digests[0]) if one.member == "beimen" else one for one in record.ballots]
    result = checked(world, message, {place: replace(record, ballots=lie)}, acts=swapped("beimen", data))
    assert "is not of the sort that the log says it is" in result.lines[-1].text


def test_proofs_of_possession_are_recomputed() -> None:
    """Members that took a motion without checking its proofs."""
    world = World()
    keys = keys_of(world.origin, "houbi")
    held = [signer(world.origin, "houbi", role) for role in ("root", "act", "finality")]
    good = prove_possession(held, world.genesis.digest, "houbi", keys, world.at + HOUR)
    for proofs in (good, [good[0], good[2], good[1]], [*good[:2], "00" * 64]):
        world = World()
        world.believing = True
        terms = AdmitMotion("houbi", "test:houbi", ["reporter", "voter"], keys, world.at + HOUR, proofs)
        message = world.submit("annan", Submit("motion.admit", None, None, terms, None))
        world.block(("beimen", judge(message)), ("cigu", judge(message)))
        result = world.verify(message)
        assert result.ok == (proofs == good)
        assert result.ok or "A proof of possession of a key of houbi does not hold." in result.lines[-1].text


def test_only_issuers_issue(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    place = world.roster(1)
    leaf = world.decoded[place]
    assert isinstance(leaf, RosterLeaf)
    roster = replace(leaf, members=[replace(leaf.members[0], roles=["voter"]), *leaf.members[1:]])
    result = checked(world, message, {place: roster}, policy_of_roster(world.genesis, roster))
    assert "annan may not issue report.cluster.dengue under this rule." in result.lines[-1].text


def test_concurrences_and_receipts_are_signed_with_keys_of_their_time(worlds: dict[str, tuple[World, str]]) -> None:
    for name, author, acts in (
        ("supervised", "health", [Concur(worlds["supervised"][1])]),
        ("vetoed", "health", [VetoAct(worlds["vetoed"][1], worlds["vetoed"][0].decoded[-2].code, None)]),  # type: ignore[union-attr]
        ("ordered", "beimen", [Acknowledge(worlds["ordered"][1], "done", None)]),
    ):
        world, message = worlds[name]
        for key, until, sentence in (
            (world.acting[author], 60_000, ""),
            (world.acting["danei"], 60_000, f"An act of {author} is not signed with its act key of the time."),
            (world.acting[author], 2 * HOUR, "was not valid when it counted"),
        ):
            data = sign_acts(key, world.genesis.digest, author, world.at + until, acts)
            result = with_acts(world, message, swapped(author, data))
            assert result.ok == (not sentence), result.lines[-1].text
            assert sentence in result.lines[-1].text


def test_acts_that_have_no_part_are_refused(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["silent"]
    data = sign_acts(
        world.acting["danei"], world.genesis.digest, "danei", world.at + 1, [Annotate(message, "object", None)]
    )
    result = with_acts(world, message, swapped("danei", data))
    assert "has no part in this record and was not checked" in result.lines[-1].text


def test_a_veto_or_concurrence_that_is_not_shown_is_said_to_be_so(worlds: dict[str, tuple[World, str]]) -> None:
    for name in ("vetoed", "supervised"):
        world, message = worlds[name]
        result = with_acts(world, message, lambda acts: [one for one in acts if not by_author(one, "health")])
        assert result.ok
        assert any("the signed act is not in this file" in line.text for line in result.lines)


def with_relay(worlds: dict[str, tuple[World, str]], change: Callable[[RelayAct], RelayAct]) -> Report:
    """The relayed record as if its carrier had brought this instead, and the members had taken it."""
    nation, message = worlds["relayed"]
    honest = build_dossier(nation, message)
    (true,) = [one for one in honest.acts if b'"act":"relay"' in bytes(one.act)]
    act = change(decode_json(bytes(true.act), type=RelayAct))
    header = decode_json(bytes(true.header))
    data = sign_acts(nation.acting["taipei"], nation.genesis.digest, "taipei", header["valid_until"], [act])
    read = decode(data)
    assert isinstance(read, Envelope)
    changes: dict[int, Any] = {}
    for kind in (Relayed, Opened, Final):
        index = place_of(nation, kind, message)
        changes[index] = replace(nation.decoded[index], act=read.act_digests[0], envelope=read.digest)  # type: ignore[type-var]

    def acts(given: list[ShownAct]) -> list[ShownAct]:
        return in_order([*(one for one in given if b'"act":"relay"' not in bytes(one.act)), shown(data)])

    return checked(nation, message, changes, acts=acts)


def test_a_carrier_cannot_bring_what_the_peer_did_not_make_final(worlds: dict[str, tuple[World, str]]) -> None:
    def leaf(act: RelayAct, **changes: Any) -> RelayAct:
        return replace(act, leaves=[replace(act.leaves[0], **changes)])

    def lines(act: RelayAct, change: Callable[[list[Signature]], list[Signature]]) -> RelayAct:
        parsed = note.parse(act.checkpoint.encode())
        return replace(act, checkpoint=note.format(parsed.text, change(list(parsed.signatures))).decode())

    def elsewhere(act: RelayAct) -> RelayAct:
        """The peer's log key signs, under its own name, a checkpoint of another origin."""
        parsed = note.parse(act.checkpoint.encode())
        text = parsed.text.replace("health.example/tw/tainan", "health.example/tw/other")
        log = signer("health.example/tw/tainan", "", "log")
        name = VerifierKey("health.example/tw/tainan", 1, bytes.fromhex(log.public_key))
        return replace(act, checkpoint=note.format(text, [note.sign_line(name, log.sign(text.encode()))]).decode())

    assert with_relay(worlds, lambda act: act).ok
    few = with_relay(worlds, lambda act: lines(act, lambda given: given[:2]))
    assert few.ok
    assert any("its quorum is taken as this network's members checked it" in line.text for line in few.lines)
    zero = [bytes(64), bytes(72)]
    cases = [
        (lambda act: replace(act, peer="health.example/tw/other"), "relayed another peer than the log says"),
        (elsewhere, "not signed by the peer's log"),
        (lambda act: lines(act, lambda given: given[1:]), "not signed by the peer's log"),
        (
            lambda act: lines(act, lambda given: [given[0]._replace(value=zero[0]), *given[1:]]),
            "not signed by the peer's",
        ),
        (lambda act: lines(act, lambda given: [given[0], given[1]._replace(value=zero[1])]), "peer does not hold"),
        (lambda act: replace(act, checkpoint="nothing"), "The checkpoint of the peer does not hold"),
        (lambda act: leaf(act, index=act.leaves[0].index + 1), "is not in the peer's log"),
        (lambda act: leaf(act, proof=act.leaves[0].proof[1:]), "is not in the peer's log"),
        (
            lambda act: leaf(act, leaf=act.leaves[0].leaf.replace('"severity":2', '"severity":3')),
            "not in the peer's log",
        ),
        (lambda act: replace(act, leaves=[]), "does not hold what the peer sent here as number 1"),
        (lambda act: leaf(act, leaf="[" * 5000), "does not hold what the peer sent here as number 1"),
    ]
    for change, sentence in cases:
        result = with_relay(worlds, change)
        assert not result.ok
        assert sentence in result.lines[-1].text, result.lines[-1].text


def test_only_who_may_annotates(worlds: dict[str, tuple[World, str]]) -> None:
    world, message = worlds["settled"]
    place = place_of(world, Annotated, message)
    leaf = world.decoded[place]
    assert isinstance(leaf, Annotated)
    true = {"annan": "update", "beimen": "recant", "health": "object"}
    false = [("beimen", "update"), ("danei", "recant"), ("annan", "object"), ("health", "retract")]
    for author, what in [*true.items(), *false]:
        act = Annotate(message, what, None)  # type: ignore[arg-type]
        data = sign_acts(world.acting[author], world.genesis.digest, author, leaf.at + 600_000, [act])
        read = decode(data)
        assert isinstance(read, Envelope)
        said = replace(leaf, note=what, by=author, act=read.act_digests[0], envelope=read.digest)

        def acts(given: list[ShownAct], data: bytes = data) -> list[ShownAct]:
            return in_order([*(one for one in given if b'"act":"annotate"' not in bytes(one.act)), shown(data)])

        result = checked(world, message, {place: said}, acts=acts)
        assert result.ok == ((author, what) in true.items()), (author, what, result.lines[-1].text)
        assert result.ok or f"{author} may not {what} this record." in result.lines[-1].text


def test_parties_find_nothing(worlds: dict[str, tuple[World, str]]) -> None:
    """A finding signed by whoever it is, taken by the log; only health is no party of the record."""
    world, message = worlds["settled"]
    place, settlement = place_of(world, FindingLeaf, message), place_of(world, Settled, message)
    leaf, posted = world.decoded[place], world.decoded[settlement]
    assert isinstance(leaf, FindingLeaf)
    for author, sentence in (
        ("health", ""),
        ("danei", ""),
        ("annan", "annan is a party of the record; its finding cannot stand."),
        ("beimen", "beimen is a party of the record; its finding cannot stand."),
    ):
        data = sign_acts(world.acting[author], world.genesis.digest, author, leaf.at + 600_000, [finding(message)])
        read = decode(data)
        assert isinstance(read, Envelope)
        name = message_id(read.digest, 0)
        said = replace(leaf, id=name, by=author, act=read.act_digests[0], envelope=read.digest)
        changes = {place: said, settlement: replace(posted, finding=name)}  # type: ignore[type-var]

        def acts(given: list[ShownAct], data: bytes = data) -> list[ShownAct]:
            return in_order([*(one for one in given if b'"kind":"finding"' not in bytes(one.act)), shown(data)])

        result = checked(world, message, changes, acts=acts)
        assert result.ok == (not sentence), result.lines[-1].text
        assert sentence in result.lines[-1].text
