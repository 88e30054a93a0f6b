"""What a node serves: each network's log as static C2SP files under its origin, what members of a network and relays
ask of it, and a witness's duty (spec 10.3, spec 11.2).

Everything here is public: envelopes and leaves hold no person's data. Sizes are bounded before anything is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import wraps
from time import monotonic
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tocsin.engine.port import Engine, EngineBusy, EngineHalted, Receipt, Ticket
from tocsin.kernel.envelope import MAX_RELAY_ENVELOPE, Refusal, encode
from tocsin.kernel.genesis import decode_genesis
from tocsin.kernel.state import State
from tocsin.node.finality.finality import Finality
from tocsin.node.finality.witness import MAX_REQUEST, Witness
from tocsin.node.relays.outbox import Outbox
from tocsin.node.web.remote import BlockFile, describe
from tocsin.store.network import NetworkStore
from tocsin.tlog import TileError, VerifierKey, tiles
from tocsin.tlog.checkpoint import MAX_SIZE, parse_decimal
from tocsin.tlog.note import ED25519

MAX_WAIT_S = 30.0
BLOCKS_BYTES = 4 * 1024 * 1024
"""Of envelopes, after which an answer with blocks is full."""
BATCH, BATCH_BYTES = 256, 1024 * 1024
"""Envelopes that may come in one request."""
BODY_S = 10.0
"""In which a request's body must be here."""
_TICK_S = 0.02
_TEXT = "text/plain; charset=utf-8"


class Network(Protocol):
    """A network while its engine runs."""

    @property
    def records(self) -> NetworkStore: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def finality(self) -> Finality: ...

    @property
    def outbox(self) -> Outbox: ...

    def checkpoint(self) -> bytes | None:
        """The newest final checkpoint, with what outside witnesses signed of it."""
        ...


class Served(Protocol):
    """A network of the node."""

    @property
    def origin(self) -> str: ...

    def enter(self) -> Network | None:
        """The network if its engine runs; it then stays open until `leave`."""
        ...

    def leave(self) -> None:
        """Of each `enter` that gave one."""
        ...

    @property
    def closing(self) -> bool:
        """Whether everybody should leave soon."""
        ...

    def status(self) -> dict[str, Any]:
        """What to tell a person."""
        ...


class _No(Exception):
    """Status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


_Handler = Callable[["_Routes", Network, Request], Awaitable[Response]]


def _network(handler: _Handler) -> Callable[["_Routes", Request], Awaitable[Response]]:
    @wraps(handler)
    async def handle(self: "_Routes", request: Request) -> Response:
        live = self.served.enter()
        if live is None:
            return _refuse(503, f"{self.served.origin} does not run here at the moment; ask again in a few seconds.")
        try:
            return await handler(self, live, request)
        except _No as no:
            return _refuse(no.status, str(no))
        except (IndexError, KeyError, TileError) as error:
            return _refuse(404, f"There is no such thing here: {error}.")
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self.served.leave()

    return handle


class _Routes:
    """Of one network."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def routes(self) -> list[Route]:
        return [
            Route("/checkpoint", self.checkpoint),
            Route("/signed", self.signed),
            Route("/cosigned/{size:str}", self.cosigned),
            Route("/final/{size:str}", self.final),
            Route("/tile/{path:path}", self.tile),
            Route("/log.vkey", self.vkey),
            Route("/genesis", self.genesis),
            Route("/founding", self.founding),
            Route("/blocks", self.blocks),
            Route("/sent", self.sent),
            Route("/steps", self.steps),
            Route("/receipts/{digest:str}", self.receipt),
            Route("/envelopes", self.submit, methods=["POST"]),
            Route("/envelopes/batch", self.submit_batch, methods=["POST"]),
            Route("/status", self.status),
        ]

    # The log (C2SP tlog-tiles).

    @_network
    async def checkpoint(self, live: Network, request: Request) -> Response:
        return _note(await run_in_threadpool(live.checkpoint))

    @_network
    async def tile(self, live: Network, request: Request) -> Response:
        place = tiles.parse_path(f"tile/{request.path_params['path']}")
        if place.level is None:
            data = await run_in_threadpool(live.records.bundle, place.index, place.width)
        else:
            data = await run_in_threadpool(live.records.tile, place.level, place.index, place.width)
        return Response(data, headers={"cache-control": "public, max-age=604800, immutable"})

    @_network
    async def vkey(self, live: Network, request: Request) -> Response:
        genesis = decode_genesis(await run_in_threadpool(lambda: live.records.genesis))
        key = VerifierKey(genesis.origin, ED25519, bytes.fromhex(genesis.log_key))
        return Response(f"{key}\n", media_type=_TEXT)

    @_network
    async def genesis(self, live: Network, request: Request) -> Response:
        return Response(await run_in_threadpool(lambda: live.records.genesis), media_type="application/json")

    @_network
    async def founding(self, live: Network, request: Request) -> Response:
        return Response(await run_in_threadpool(lambda: live.records.founding), media_type="application/json")

    # Among members.

    @_network
    async def signed(self, live: Network, request: Request) -> Response:
        return _note(live.finality.own())

    @_network
    async def cosigned(self, live: Network, request: Request) -> Response:
        size = _size(request)
        until = monotonic() + _wait(request)
        while (own := live.finality.own(size)) is None and monotonic() < until and not self.served.closing:
            await asyncio.sleep(_TICK_S)
        return _note(own)

    @_network
    async def final(self, live: Network, request: Request) -> Response:
        found = await run_in_threadpool(live.records.checkpoint, _size(request))
        return _note(None if found is None else found.note)

    @_network
    async def blocks(self, live: Network, request: Request) -> Response:
        after = _number(request, "after", -1)
        until = monotonic() + _wait(request)
        while live.engine.final() <= after and monotonic() < until and not self.served.closing:
            await asyncio.sleep(_TICK_S)
        return _json(await run_in_threadpool(_read_blocks, live, after))

    @_network
    async def submit(self, live: Network, request: Request) -> Response:
        data = await _body(request, MAX_RELAY_ENVELOPE)
        try:
            answer = await run_in_threadpool(live.engine.submit, data)
        except (EngineBusy, EngineHalted) as error:
            raise _No(503, str(error)) from None
        if isinstance(answer, Ticket):
            await self._settled(answer, _wait(request))
        status, told = _told(answer)
        return _json(told, status)

    @_network
    async def submit_batch(self, live: Network, request: Request) -> Response:
        lines = (await _body(request, BATCH_BYTES)).split(b"\n")
        if len(lines) > BATCH:
            raise _No(413, f"At most {BATCH} envelopes are taken at once.")
        until = monotonic() + _wait(request)
        answers = await run_in_threadpool(_submit_all, live.engine, lines)
        for answer in answers:
            if isinstance(answer, Ticket):
                await self._settled(answer, until - monotonic())
        return _json([_told(answer)[1] for answer in answers])

    async def _settled(self, ticket: Ticket, wait_s: float) -> None:
        """Wait for a ticket, but not beyond the network's end here."""
        if wait_s <= 0:
            return
        loop = asyncio.get_running_loop()
        settled = asyncio.Event()

        def tell(_: Ticket) -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settled.set)

        until = monotonic() + wait_s
        ticket.add_done_callback(tell)
        while not ticket.done() and monotonic() < until and not self.served.closing:
            with suppress(TimeoutError):
                await asyncio.wait_for(settled.wait(), min(0.2, until - monotonic()))

    @_network
    async def receipt(self, live: Network, request: Request) -> Response:
        digest = request.path_params["digest"]
        found = await run_in_threadpool(_find_receipt, live.records, digest)
        if found is None:
            raise _No(404, "No envelope of this digest was taken in the last hour; look for its messages in the log.")
        return _json({"receipt": found})

    @_network
    async def sent(self, live: Network, request: Request) -> Response:
        since = _number(request, "since", 1)
        return _json(await run_in_threadpool(live.outbox.since, request.query_params.get("to", ""), since))

    @_network
    async def steps(self, live: Network, request: Request) -> Response:
        return _json(live.finality.epochs.steps(_number(request, "after", 0)))

    async def status(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self.served.status))


def application(networks: list[Served], witness: Witness | None, about: Callable[[], Mapping[str, Any]]) -> Starlette:
    """All that a node serves. `about`: the node's own status."""

    async def status(request: Request) -> Response:
        return _json(await run_in_threadpool(about))

    routes: list[Route | Mount] = [Route("/status", status)]
    if witness is not None:
        routes.append(Mount("/witness", routes=_witness_routes(witness)))
    # The longest first: health.example/tw/tainan is not a path of health.example/tw.
    for served in sorted(networks, key=lambda one: -len(one.origin)):
        routes.append(Mount(f"/{served.origin}", routes=_Routes(served).routes()))
    return Starlette(routes=routes)


def _witness_routes(witness: Witness) -> list[Route]:
    async def add(request: Request) -> Response:
        try:
            data = await _body(request, MAX_REQUEST)
        except _No as no:
            return _refuse(no.status, str(no))
        answer = await run_in_threadpool(witness.add_checkpoint, data)
        kind = "text/x.tlog.size" if answer.status == 409 else _TEXT
        return Response(answer.body, answer.status, media_type=kind)

    async def latest(request: Request) -> Response:
        return _note(await run_in_threadpool(witness.latest, request.path_params["log"]))

    return [Route("/add-checkpoint", add, methods=["POST"]), Route("/{log:str}/checkpoint", latest)]


# What requests say.


async def _body(request: Request, most: int) -> bytes:
    """The body, refused as soon as it is known to be too large."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise _No(413, f"At most {most} bytes are taken here.")
    data = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                data += part
                if len(data) > most:
                    raise _No(413, f"At most {most} bytes are taken here.")
    except TimeoutError:
        raise _No(408, f"The body did not come in {BODY_S:g} s; send it again.") from None
    return data


def _wait(request: Request) -> float:
    try:
        return max(0.0, min(MAX_WAIT_S, float(request.query_params.get("wait", "0"))))
    except ValueError:
        raise _No(400, "wait is a number of seconds.") from None


def _size(request: Request) -> int:
    try:
        return parse_decimal(request.path_params["size"], MAX_SIZE)
    except ValueError as error:
        raise _No(404, f"There is no such checkpoint: {error}.") from None


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise _No(400, f"{name} is a whole number.")
    return int(text)


# What answers say.


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


def _note(data: bytes | None) -> Response:
    if data is None:
        return _refuse(404, "There is no such checkpoint here, or not yet.")
    return Response(data, media_type=_TEXT, headers={"cache-control": "no-store"})


def _refuse(status: int, sentence: str) -> Response:
    return _json({"error": sentence}, status)


def _submit_all(engine: Engine, many: list[bytes]) -> list[Ticket | Refusal | Exception]:
    answers: list[Ticket | Refusal | Exception] = []
    for data in many:
        try:
            answers.append(engine.submit(data))
        except (EngineBusy, EngineHalted) as error:
            answers.append(error)
    return answers


def _told(answer: Ticket | Receipt | Refusal | Exception) -> tuple[int, dict[str, Any]]:
    """Status and content of what is said of an envelope that was handed in."""
    match answer:
        case Ticket() if not answer.done():
            return 202, {"digest": answer.digest}
        case Ticket():
            return _told(answer.exception() or answer.result())
        case Refusal(reason, detail):
            sentence = describe(answer)
            return 422, {"reason": int(reason), "name": reason.name, "sentence": sentence, "detail": detail}
        case Exception():
            return 503, {"error": str(answer)}
    return 200, {"digest": answer.digest, "receipt": [answer.digest, answer.height, answer.codes]}


def _find_receipt(records: NetworkStore, digest: str) -> tuple[str, int, list[int]] | None:
    found = records.find_receipt(State.from_rows(records.rows("seen")), digest)
    return None if found is None else (digest, found[0], found[2])


def _read_blocks(live: Network, after: int) -> list[BlockFile]:
    blocks: list[BlockFile] = []
    room = BLOCKS_BYTES
    for block in live.records.blocks(after + 1, live.engine.final()):
        file = BlockFile.of(block)
        room -= sum(map(len, file.envelopes))
        if blocks and room < 0:
            break
        blocks.append(file)
    return blocks

