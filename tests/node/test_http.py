"""What a node serves: the log as anybody reads it, envelopes in, and every kind of bad request."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.node.net import PATIENCE_S, Nodes, now, opened, until
from tocsin.client.signing import sign_acts
from tocsin.engine.port import Engine, EngineBusy, Ticket
from tocsin.kernel.acts import Present
from tocsin.kernel.envelope import MAX_RELAY_ENVELOPE, Refusal
from tocsin.kernel.reasons import Reason
from tocsin.node.trial import testnet
from tocsin.node.web import http
from tocsin.node.web.remote import Remote, RemoteError, Taken, call
from tocsin.tlog import note
from tocsin.tlog.audit import audit
from tocsin.tlog.note import parse_vkey

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE = "1-1-a1", "1-1-a2", "1-1-a3"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("nodes"), testnet.shape(3, [1]))
    made.start()
    made.record(ORIGIN)
    for name in (ONE, TWO, THREE):
        made.final(name, ORIGIN, made.live(ONE, ORIGIN).records.durable[1])
    yield made
    made.close()


@pytest.fixture
def remote(nodes: Nodes) -> Remote:
    return nodes.remote(TWO, ORIGIN)


def get(nodes: Nodes, path: str, method: str = "GET", body: bytes = b"", name: str = TWO) -> tuple[int, bytes]:
    return call(nodes.client, method, f"{nodes.tree.node(name).url}{path}", 10**7, PATIENCE_S, body=body)


def present(nodes: Nodes, member: str, day: int, genesis: str | None = None) -> bytes:
    identity = genesis or nodes.live(member, ORIGIN).genesis.digest
    return sign_acts(nodes.keys.signer(ORIGIN, member, "act"), identity, member, now() + 600_000, [Present(day)])


def test_a_stranger_checks_the_whole_log_from_its_files(nodes: Nodes, remote: Remote) -> None:
    size = nodes.live(ONE, ORIGIN).records.durable[1]
    head = nodes.final(TWO, ORIGIN, size)
    assert list(audit(head.size, head.root, remote.tile, remote.bundle)) == []
    data = remote.checkpoint()
    assert data is not None
    assert opened(data, nodes.policy(ORIGIN)) == head
    status, vkey = get(nodes, f"/{ORIGIN}/log.vkey")
    assert status == 200
    assert parse_vkey(vkey.decode().strip()) == nodes.policy(ORIGIN).log


def test_every_node_serves_its_own_line_for_a_size(nodes: Nodes) -> None:
    size = nodes.live(ONE, ORIGIN).records.durable[1]
    nodes.final(ONE, ORIGIN, size)
    names = set()
    for name in (ONE, TWO, THREE):
        until(lambda name=name: nodes.remote(name, ORIGIN).cosigned(size, 5))  # type: ignore[misc]
        data = nodes.remote(name, ORIGIN).cosigned(size)
        assert data is not None
        names |= {line.name for line in note.parse(data).signatures if line.name != ORIGIN}
    assert names == {f"{ORIGIN}/{name}" for name in (ONE, TWO, THREE)}
    assert nodes.remote(ONE, ORIGIN).cosigned(size + 1000) is None


def test_an_envelope_gets_its_receipt_through_any_node(nodes: Nodes, remote: Remote) -> None:
    data = present(nodes, TWO, 20_000)
    answer = remote.submit(data, http.MAX_WAIT_S)
    assert isinstance(answer, Taken)
    assert answer.codes == [0]
    for name in (ONE, THREE):
        status, said = get(nodes, f"/{ORIGIN}/receipts/{answer.digest}", name=name)
        assert status in (200, 404)  # who follows may be a moment behind
        if status == 200:
            assert f'"{answer.digest}",{answer.height},[0]'.encode() in said
    again = remote.submit(data, http.MAX_WAIT_S)
    assert isinstance(again, Refusal)
    assert again.reason == Reason.SEEN_BEFORE


def test_without_waiting_there_is_a_digest_to_ask_for(nodes: Nodes) -> None:
    answer = nodes.remote(ONE, ORIGIN).submit(present(nodes, ONE, 20_001))
    assert isinstance(answer, str | Taken)


def test_of_a_batch_each_envelope_gets_its_own_answer(nodes: Nodes) -> None:
    good = [present(nodes, ONE, day) for day in range(20_010, 20_015)]
    batch = [*good, b"", b"{}", present(nodes, ONE, 20_002, "0" * 64), good[0]]
    status, said = get(nodes, f"/{ORIGIN}/envelopes/batch?wait=30", "POST", b"\n".join(batch), ONE)
    assert status == 200
    answers = json.loads(said)
    assert [answer["receipt"][2] for answer in answers[:5]] == [[0]] * 5
    assert [answer["reason"] for answer in answers[5:8]] == [
        Reason.NOT_JSON, Reason.WRONG_SHAPE, Reason.OTHER_GENESIS,
    ]  # fmt: skip
    # Whether the second of two reached the same block, or none.
    assert answers[8].get("reason") == Reason.SEEN_BEFORE or answers[8]["receipt"] == answers[0]["receipt"]
    again = nodes.remote(ONE, ORIGIN).submit_batch(good[:2])
    assert all(isinstance(one, str) or (isinstance(one, Refusal) and one.reason == Reason.SEEN_BEFORE) for one in again)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [(b"\n" * http.BATCH, b"At most 256 envelopes"), (b"x" * (http.BATCH_BYTES + 1), b"At most 1048576 bytes")],
)
def test_too_large_a_batch_is_refused_as_a_whole(nodes: Nodes, body: bytes, sentence: bytes) -> None:
    status, said = get(nodes, f"/{ORIGIN}/envelopes/batch", "POST", body)
    assert status == 413
    assert sentence in said


def test_a_batch_that_finds_no_room_says_so_of_each(
    nodes: Nodes, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter((True, False, True))
    submit = type(nodes.live(TWO, ORIGIN).engine).submit

    def full(self: Engine, data: bytes) -> Ticket | Refusal:
        if next(room):
            return submit(self, data)  # type: ignore[arg-type]
        raise EngineBusy("16384 envelopes wait already.")

    monkeypatch.setattr(type(nodes.live(TWO, ORIGIN).engine), "submit", full)
    answers = remote.submit_batch([present(nodes, TWO, day) for day in range(20_020, 20_023)])
    # Who finds room may have its block before the answer is made.
    assert [isinstance(one, str | Taken) for one in answers] == [True, False, True]
    assert isinstance(answers[1], RemoteError)
    assert "16384 envelopes wait already" in str(answers[1])


def test_what_is_no_envelope_is_refused_with_its_reason(nodes: Nodes, remote: Remote) -> None:
    for data, reason in (
        (b"", Reason.NOT_JSON),
        (b"\xff", Reason.NOT_UTF8),
        (b"{}", Reason.WRONG_SHAPE),
        (present(nodes, TWO, 20_002, "0" * 64), Reason.OTHER_GENESIS),
    ):
        answer = remote.submit(data, http.MAX_WAIT_S)
        assert isinstance(answer, Refusal)
        assert answer.reason == reason


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nowhere", 404),
        (f"/{ORIGIN}/tile/9/000", 404),
        (f"/{ORIGIN}/tile/0/00", 404),
        (f"/{ORIGIN}/tile/0/000", 404),
        (f"/{ORIGIN}/tile/entries/999", 404),
        (f"/{ORIGIN}/tile/%2e%2e/checkpoint", 404),
        (f"/{ORIGIN}/cosigned/99999", 404),
        (f"/{ORIGIN}/cosigned/{'9' * 400}", 404),
        (f"/{ORIGIN}/cosigned/{'9' * 5000}", 404),
        (f"/{ORIGIN}/cosigned/5x", 404),
        (f"/{ORIGIN}/final/5", 404),
        (f"/{ORIGIN}/final/{'9' * 18}", 404),
        (f"/{ORIGIN}/final/{'9' * 23}", 404),
        (f"/{ORIGIN}/final/{'9' * 5000}", 404),
        (f"/{ORIGIN}/final/-1", 404),
        (f"/{ORIGIN}/tile/entries/{'x999/' * 6}999", 404),
        (f"/{ORIGIN}/tile/entries/{'x999/' * 15}999", 404),
        (f"/{ORIGIN}/tile/entries/{'x999/' * 1000}999", 404),
        (f"/{ORIGIN}/tile/0/{'x999/' * 6}999", 404),
        (f"/{ORIGIN}/tile/{'9' * 5000}/000", 404),
        (f"/{ORIGIN}/receipts/none", 404),
        (f"/{ORIGIN}/receipts/{'9' * 5000}", 404),
        (f"/{ORIGIN}/blocks?after=x", 400),
        (f"/{ORIGIN}/blocks?after={'9' * 5000}", 400),
        (f"/{ORIGIN}/blocks?after={'9' * 18}", 200),
        (f"/{ORIGIN}/blocks?after=-{'9' * 17}", 200),
        (f"/{ORIGIN}/blocks?after=0&wait=soon", 400),
        (f"/{ORIGIN}/blocks?after=0&wait={'9' * 5000}", 200),
        (f"/{ORIGIN}/blocks?after=0&wait=nan", 200),
        (f"/{ORIGIN}/steps?after={'9' * 18}", 200),
        (f"/{ORIGIN}/steps?after={'9' * 19}", 400),
        (f"/{ORIGIN}/sent?since={'9' * 18}&to={ORIGIN}", 200),
        (f"/{ORIGIN}/sent?since=-{'9' * 17}&to={'x' * 5000}", 200),
        (f"/{ORIGIN}/sent?since={'9' * 30}", 400),
        (f"/{ORIGIN}/envelopes", 405),
        (f"/{ORIGIN}/envelopes/batch", 405),
        ("/witness/add-checkpoint", 404),
    ],
)
def test_bad_requests_are_answered(nodes: Nodes, path: str, status: int) -> None:
    assert get(nodes, path)[0] == status


def test_what_is_too_large_is_refused_before_it_is_read(nodes: Nodes) -> None:
    status, said = get(nodes, f"/{ORIGIN}/envelopes", "POST", b"x" * (MAX_RELAY_ENVELOPE + 1))
    assert status == 413
    assert b"At most 131072 bytes" in said


def test_nobody_is_waited_for_who_trickles(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_S", 0.3)
    host, port = nodes.tree.node(TWO).url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as stream:
        stream.sendall(f"POST /{ORIGIN}/envelopes HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx".encode())
        assert stream.recv(100).startswith(b"HTTP/1.1 408 ")


def test_garbage_on_the_port_stops_nothing(nodes: Nodes) -> None:
    host, port = nodes.tree.node(TWO).url.removeprefix("http://").split(":")
    for data in (b"\x16\x03\x01\x00\xa5", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"\r\n" * 100):
        with socket.create_connection((host, int(port)), PATIENCE_S) as stream, suppress(OSError):
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
            stream.recv(1000)
    assert get(nodes, "/status")[0] == 200


def test_the_status_names_who_signs_and_who_is_missing(nodes: Nodes, remote: Remote) -> None:
    assert remote.status().signers == [ONE, TWO, THREE]
    said = json.loads(get(nodes, f"/{ORIGIN}/status")[1])
    assert said["origin"] == ORIGIN
    assert said["need"] == 2
    assert set(said["members"]) == {ONE, THREE}


def test_blocks_come_in_order_and_make_the_log(nodes: Nodes, remote: Remote) -> None:
    blocks = remote.blocks(-1)
    assert [one.height for one in blocks] == list(range(len(blocks)))
    assert blocks[-1].root == nodes.live(ONE, ORIGIN).records.root(blocks[-1].size).hex()


def test_networks_lie_under_their_origins(nodes: Nodes) -> None:
    status, said = get(nodes, "/status")
    assert status == 200
    assert ORIGIN.encode() in said
