"""Hostile and slow clients of the HTTP server, on real sockets.

Deadlines are judged with a time of the test's own (`Connections.end_overdue`), so nothing waits.
"""

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import msgspec
import pytest
from anyio.abc import SocketStream
from litestar.types import Receive, Scope, Send
from msgspec import Struct

from chimera_s1.app.web.connection_protocol import ConnectionLimits
from chimera_s1.app.web.connections import PROBE_RESERVE, CloseReason, Connections
from chimera_s1.app.web.limit_requests import PROBE_PATHS
from chimera_s1.app.web.server import HttpServer, bind
from tests.contract.web_parts import WatchedBoard, WebParts, serving
from tests.sample_quotes import quote
from tests.time_limits import TIMEOUT_S

# The event loop of the service: how it accepts and closes sockets is part of what is tested.
pytestmark = pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])

STREAM = b"GET /xchg/quotes/stream HTTP/1.1\r\nHost: s1\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: s1\r\n\r\n"
LAST_HEALTH = b"GET /health HTTP/1.1\r\nHost: s1\r\nConnection: close\r\n\r\n"
FEW = PROBE_RESERVE + 4
"""A maximum of connections that leaves 4 requests besides probes."""


class Reply(Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return msgspec.json.decode(self.body, type=dict[str, Any])


@asynccontextmanager
async def connected(server: HttpServer) -> AsyncIterator[SocketStream]:
    async with await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2])) as client:
        yield client


async def everything(client: SocketStream) -> bytes:
    """What arrives until the server closes or resets the connection."""
    received = b""
    try:
        while True:
            received += await client.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return received


async def one_reply(client: SocketStream) -> Reply:
    """The one reply that arrives before the server closes."""
    return parsed(await everything(client))


def parsed(message: bytes) -> Reply:
    head, _, body = message.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert len(body) == int(headers["content-length"]), message
    return Reply(int(status.split()[1]), headers, body)


async def send_without_end(client: SocketStream, piece: bytes) -> None:
    """Send *piece* again and again until the server resets the connection."""
    try:
        while True:
            await client.send(piece)
    except anyio.BrokenResourceError:
        return


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("sent", "status", "code", "reason"),
    [
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 21_000, 431, "request.head_too_large", "head_too_large"),
        (
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 102,
            431,
            "request.head_too_large",
            "head_too_large",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: s1\r\nA: " + b"x" * 17_000 + b"\r\n\r\n",
            431,
            "request.head_too_large",
            "head_too_large",
        ),
        (b"GET /" + b"x" * 21_000, 414, "request.url_too_long", "head_too_large"),
        (b"\r\n" * 10_000, 431, "request.head_too_large", "head_too_large"),
        (b"nonsense\r\n\r\n", 400, "request.invalid", "malformed"),
        (b"GET /\xff HTTP/1.1\r\nHost: s1\r\n\r\n", 400, "request.invalid", "malformed"),
        (b"\x16\x03\x01\x02\x00\x01", 400, "request.invalid", "malformed"),
    ],
    ids=["endless header", "headers", "long header", "url", "line ends", "text", "bytes", "tls"],
)
async def test_what_is_no_acceptable_head_is_refused(
    sent: bytes, status: int, code: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The reply is a problem document; the reason is counted, and not logged."""
    connections = Connections()
    with anyio.fail_after(TIMEOUT_S), caplog.at_level(logging.INFO):
        async with (
            serving(WebParts(), connections=connections) as server,
            connected(server) as client,
        ):
            caplog.clear()
            # In two pieces: a limit holds for what is unfinished as well as for a whole line.
            await client.send(sent[:5])
            await client.send(sent[5:])
            reply = await one_reply(client)
            logged = caplog.text

    assert (reply.status, reply.problem["code"]) == (status, code)
    assert reply.problem["status"] == status
    assert reply.headers["connection"] == "close"
    assert connections.closed == {CloseReason(reason): 1}
    assert logged == ""


@pytest.mark.parametrize(
    ("opening", "piece", "reason"),
    [
        (b"GET /health HTTP/1.1\r\nA: ", b"x" * 1_000, CloseReason.HEAD_TOO_LARGE),
        (b"GET /health HTTP/1.1\r\n", b"A: b\r\n" * 200, CloseReason.HEAD_TOO_LARGE),
        (b"GET /", b"x" * 1_000, CloseReason.HEAD_TOO_LARGE),
        (
            b"GET /health HTTP/1.1\r\nHost: s1\r\nContent-Length: 9999999999\r\n\r\n",
            b"x" * 1_000,
            CloseReason.BODY_TOO_LARGE,
        ),
        (
            b"POST /nothing HTTP/1.1\r\nHost: s1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=",
            b"x" * 1_000,
            CloseReason.BODY_TOO_LARGE,
        ),
        (
            b"POST /nothing HTTP/1.1\r\nHost: s1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"A: b\r\n" * 200,
            CloseReason.HEAD_TOO_LARGE,
        ),
    ],
    ids=["header", "headers", "url", "body", "chunk extension", "trailers"],
)
async def test_what_never_ends_is_cut(opening: bytes, piece: bytes, reason: CloseReason) -> None:
    """The client that goes on sending after the refusal is reset."""
    connections = Connections()
    limits = ConnectionLimits(linger_bytes=16_384)
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(WebParts(), connections=connections, limits=limits) as server,
            connected(server) as client,
        ):
            await client.send(opening)
            await send_without_end(client, piece)

    assert connections.closed == {reason: 1}


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"", None, CloseReason.IDLE),
        (b"GET /health HTTP/1.1\r\nA", 408, CloseReason.HEAD_TIMEOUT),
    ],
    ids=["silence", "half a head"],
)
async def test_a_client_that_falls_silent_is_ended(
    sent: bytes, status: int | None, reason: CloseReason
) -> None:
    connections = Connections()
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(WebParts(), connections=connections) as server,
            connected(server) as client,
        ):
            if sent:
                await client.send(sent)
            await until(lambda: connections.count == 1)
            async with connected(server) as other:
                await other.send(LAST_HEALTH)  # what was sent before it has arrived
                assert (await one_reply(other)).status == 200
            connections.end_overdue(anyio.current_time())
            assert not connections.closed
            connections.end_overdue(anyio.current_time() + 31)
            received = await everything(client)

    assert connections.closed == {reason: 1}
    assert (parsed(received).status if received else None) == status


async def test_a_body_that_does_not_arrive_is_not_awaited() -> None:
    """The application sees a disconnect, and the client a 408."""
    waiting, gone = anyio.Event(), anyio.Event()

    async def reads_a_body(_scope: Scope, receive: Receive, _send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        waiting.set()
        assert (await receive())["type"] == "http.disconnect"
        gone.set()

    connections = Connections()
    server = HttpServer(reads_a_body, bind("127.0.0.1", 0), lambda: None, connections=connections)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            async with connected(server) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: s1\r\nContent-Length: 9\r\n\r\n{")
                await waiting.wait()
                connections.end_overdue(anyio.current_time() + 31)
                reply = await one_reply(client)
                await gone.wait()
            server.stop()

    assert (reply.status, reply.problem["code"]) == (408, "request.timeout")
    assert connections.closed == {CloseReason.BODY_TIMEOUT: 1}


async def test_the_longest_idle_connection_ends_for_a_new_client() -> None:
    """At the maximum every new client is served, and a stream in progress stays."""
    board = WatchedBoard()
    connections = Connections(FEW)
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(WebParts(board), connections=connections) as server,
            connected(server) as stream,
            AsyncExitStack() as stack,
        ):
            await stream.send(STREAM)
            await board.came.wait()
            idle = [await stack.enter_async_context(connected(server)) for _ in range(FEW)]
            await until(lambda: connections.closed[CloseReason.DISPLACED] == 1)
            assert await everything(idle[0]) == b""
            await idle[1].send(LAST_HEALTH)
            assert (await one_reply(idle[1])).status == 200
            assert connections.count == FEW - 1
            assert board.subscribers == 1


async def test_open_files_stay_below_the_maximum() -> None:
    """However many clients connect: what the process needs for the market is left."""
    connections = Connections(FEW)
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(WebParts(), connections=connections) as server,
            AsyncExitStack() as stack,
        ):
            before = open_files()
            clients = [socket.socket() for _ in range(5 * FEW)]
            for client in clients:
                stack.enter_context(client)
                client.setblocking(False)  # noqa: FBT003 (the standard library's signature)
                with suppress(BlockingIOError):
                    client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
            while connections.closed[CloseReason.DISPLACED] < 4 * FEW:
                accepted = open_files() - before - len(clients)
                assert accepted <= FEW + 8  # what was displaced closes a few turns later
                await anyio.lowlevel.checkpoint()

    assert connections.closed[CloseReason.DISPLACED] == 4 * FEW


async def test_busy_requests_leave_room_for_probes() -> None:
    """Beyond the maximum other requests get 503 with Retry-After."""
    connections = Connections(FEW)
    parts = WebParts()
    with anyio.fail_after(TIMEOUT_S):
        async with serving(parts, connections=connections) as server, AsyncExitStack() as stack:
            for count in range(1, connections.requests_max + 1):
                stream = await stack.enter_async_context(connected(server))
                await stream.send(STREAM)
                await until(lambda count=count: parts.board.subscribers == count)  # type: ignore[misc]
            async with httpx2.AsyncClient(base_url=server.url, timeout=TIMEOUT_S) as client:
                refused = await client.get("/xchg/quotes")
                probes = [await client.get(path) for path in sorted(PROBE_PATHS)]

    assert (refused.status_code, refused.json()["code"]) == (503, "service.busy")
    assert refused.json()["instance"] == "/xchg/quotes"
    assert refused.headers["retry-after"] == "5"
    assert connections.requests_refused == 1
    assert [probe.status_code for probe in probes] == [200, 200, 200]


async def test_a_connection_that_pipelines_too_much_ends() -> None:
    """What waits on it is not worked on."""
    connections = Connections()
    served = 0

    def render() -> bytes:
        nonlocal served
        served += 1
        return b""

    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(WebParts(render_metrics=render), connections=connections) as server,
            connected(server) as client,
        ):
            await client.send(b"GET /metrics HTTP/1.1\r\nHost: s1\r\n\r\n" * 5_000)
            await everything(client)

    assert connections.closed == {CloseReason.PIPELINED: 1}
    assert served <= ConnectionLimits().pipelined + 1


async def test_pipelined_requests_within_the_limit_are_answered() -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts()) as server, connected(server) as client:
            await client.send(HEALTH * 10 + LAST_HEALTH)
            received = await everything(client)

    assert received.count(b"HTTP/1.1 200 OK") == 11


async def test_a_stream_with_a_request_behind_it_ends_with_its_client() -> None:
    """Uvicorn tells only the newest request of a lost connection that its client is gone."""
    board = WatchedBoard()
    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts(board)) as server:
            async with connected(server) as client:
                await client.send(STREAM)
                await board.came.wait()
                await client.send(HEALTH)
            while not board.left.is_set():
                board.post([quote()])  # its write finds the connection gone
                with anyio.move_on_after(0.01):
                    await board.left.wait()

    assert board.subscribers == 0


async def test_a_reader_that_takes_too_little_is_ended() -> None:
    """After its response, too, it does not keep its connection."""
    connections = Connections()
    megabytes = b"x" * 20_000_000
    parts = WebParts(render_metrics=lambda: megabytes)
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(parts, connections=connections) as server,
            connected(server) as client,
        ):
            await client.send(b"GET /metrics HTTP/1.1\r\nHost: s1\r\n\r\n")
            assert await client.receive(1)
            connections.end_overdue(anyio.current_time() + 16)
            assert not connections.closed
            connections.end_overdue(anyio.current_time() + 31)
            received = await everything(client)

    assert connections.closed == {CloseReason.SLOW_READER: 1}
    assert len(received) < len(megabytes)


async def test_an_upgrade_is_ignored_without_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with anyio.fail_after(TIMEOUT_S), caplog.at_level(logging.INFO):
        async with serving(WebParts()) as server, connected(server) as client:
            caplog.clear()
            await client.send(
                b"GET /health HTTP/1.1\r\nHost: s1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
            )
            reply = await one_reply(client)
            logged = caplog.text

    assert reply.status == 200
    assert logged == ""


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"nonsense\r\n\r\n", "this is not an HTTP/1.1 request: Invalid method encountered"),
        (
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "this is not an HTTP/1.1 request: Invalid header token",
        ),
        (b"CONNECT s1:80 HTTP/1.1\r\n\r\n", "this is not an HTTP/1.1 request"),
    ],
    ids=["method", "header", "target"],
)
async def test_the_problem_says_what_is_malformed(sent: bytes, detail: str) -> None:
    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts()) as server, connected(server) as client:
            await client.send(sent)
            reply = await one_reply(client)

    assert (reply.status, reply.problem["detail"]) == (400, detail)


async def test_a_trailer_is_not_a_header() -> None:
    """It could replace what a proxy has removed: a token, a key, a host."""
    chunked = LAST_HEALTH.removesuffix(b"\r\n") + b"Transfer-Encoding: chunked\r\n\r\n"
    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts()) as server, connected(server) as client:
            await client.send(chunked + b"0\r\nHost: other\r\n\r\n")
            reply = await one_reply(client)

    assert reply.status == 200
