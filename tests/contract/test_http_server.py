"""The HTTP server on a real socket: headers, streams, stuck readers and stopping."""

import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import httpx2
import msgspec
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.app.capabilities.market.quote_board import QuoteBoard, QuoteFilter
from chimera_s1.app.capabilities.market.web.quote_events import QuoteEvents
from chimera_s1.app.web.access.public_budget import OF_A_CONNECTION
from chimera_s1.app.web.connection_protocol import ConnectionLimits
from chimera_s1.app.web.server import HttpServer, bind
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.liveness import Liveness
from tests.contract.web_parts import NOW_MS, WatchedBoard, WebParts, serving
from tests.sample_quotes import entry, quote
from tests.time_limits import TIMEOUT_S

STREAM = "/xchg/quotes/stream"


@asynccontextmanager
async def following(url: str, query: str = "") -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """The events of an open stream, each as a dictionary of its fields."""
    async with (
        httpx2.AsyncClient(timeout=TIMEOUT_S) as client,
        client.stream("GET", f"{url}{STREAM}{query}") as reply,
    ):
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield parsed(reply.aiter_lines())


async def parsed(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    fields: dict[str, str] = {}
    async for line in lines:
        if not line:
            if "data" in fields:
                yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


async def test_every_response_has_cache_and_sniffing_headers() -> None:
    """Replies forbid caching and MIME sniffing, and do not name the server software."""
    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(WebParts()) as server,
            httpx2.AsyncClient(base_url=server.url, timeout=TIMEOUT_S) as client,
        ):
            replies = [await client.get(path) for path in ("/health", "/nothing", "/schema")]

    assert [reply.status_code for reply in replies] == [200, 404, 200]
    for reply in replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers


async def pipeline(url: str, requests: bytes) -> bytes:
    """Send *requests* on one connection; all that is answered until the server ends it."""
    received = b""
    ended = (anyio.EndOfStream, anyio.BrokenResourceError)

    async def send() -> None:
        with suppress(*ended):
            await greedy.send(requests)

    async with (
        await anyio.connect_tcp("127.0.0.1", port_of(url)) as greedy,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(send)
        with suppress(*ended):
            while True:
                received += await greedy.receive()
        tasks.cancel_scope.cancel()
    return received


@pytest.mark.parametrize(
    ("path", "status"), [("/metrics", 200), ("/schema", 200), ("/nothing", 404), ("/health", 200)]
)
async def test_pipelined_requests_are_answered_up_to_the_budget(path: str, status: int) -> None:
    """Then the connection ends: what it has sent already costs nothing. Others are served."""
    parts = WebParts()
    request = f"GET {path} HTTP/1.1\r\nHost: s1\r\n\r\n".encode()
    limits = ConnectionLimits(pipelined=5_000)

    with anyio.fail_after(TIMEOUT_S):
        async with serving(parts, limits=limits) as server:
            received = await pipeline(server.url, request * 5_000)
            async with httpx2.AsyncClient(base_url=server.url, timeout=TIMEOUT_S) as client:
                check = await client.get("/health")

    answers = [int(each[:3]) for each in received.split(b"HTTP/1.1 ")[1:]]
    assert set(answers[: OF_A_CONNECTION.burst]) == {status}
    if status == 404:
        assert answers[OF_A_CONNECTION.burst :] == [404]
    else:
        assert answers[OF_A_CONNECTION.burst :] == [429]
        assert b'"code":"http.rate"' in received
        assert b"retry-after: 1" in received
    assert check.status_code == 200


async def test_a_stream_follows_what_is_published() -> None:
    parts = WebParts()
    parts.board.post([quote(bid=1.0), quote("perp/BTCUSDT", bid=2.0)])

    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(parts) as server,
            following(server.url, "?venue=spot&symbol=BTCUSDT") as events,
        ):
            first = await anext(events)
            parts.board.post([quote("spot/ETHUSDT"), quote(bid=3.0)])
            second = await anext(events)

    assert (first["event"], first["id"], second["id"]) == ("quote", "1", "4")
    assert msgspec.json.decode(first["data"])["bid1"] == 1.0
    assert msgspec.json.decode(second["data"])["bid1"] == 3.0
    assert msgspec.json.decode(second["data"])["symbol"] == "BTCUSDT"


async def test_a_stream_says_that_its_last_quote_is_no_longer_live() -> None:
    """Although no newer quote comes; of the instruments that the reader has chosen."""
    parts = WebParts()
    spot = parts.venues[Venue.SPOT]
    spot.put(entry("BTCUSDT", Liveness.LIVE, 500), entry("ETHUSDT", Liveness.LIVE, 500))
    parts.board.post([quote(ts=600)])

    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(parts) as server,
            following(server.url, "?symbol=BTCUSDT") as events,
        ):
            first = msgspec.json.decode((await anext(events))["data"])
            spot.put(entry("BTCUSDT", Liveness.BLIND, 900), entry("ETHUSDT", Liveness.BLIND, 900))
            for name in ("spot/ETHUSDT", "spot/BTCUSDT"):
                parts.board.post_changed(InstrumentId.parse(name))
            event = await anext(events)

    assert (first["state"], first["age_ms"]) == ("LIVE", NOW_MS - 600)
    assert event["event"] == "status"
    assert msgspec.json.decode(event["data"]) == {
        "ts": 900,
        "symbol": "BTCUSDT",
        "venue": "spot",
        "state": "BLIND",
        "since": 900,
        "cause": "spot-0: a cause",
    }


async def test_subscription_ends_when_the_reader_leaves() -> None:
    board = WatchedBoard()

    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts(board)) as server:
            async with following(server.url):
                await board.came.wait()
                assert board.subscribers == 1
            await board.left.wait()
            assert board.subscribers == 0


async def test_open_stream_does_not_delay_a_stop() -> None:
    """The reader sees an orderly end of the response, and the server's task ends."""
    board = WatchedBoard()
    board.post([quote()])
    seen: list[str] = []

    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts(board)) as server, following(server.url) as events:
            async for event in events:
                seen.append(event["id"])
                server.stop()

    assert seen == ["1"]
    assert board.left.is_set()


async def test_new_stream_is_refused_while_stopping() -> None:
    parts = WebParts()

    with anyio.fail_after(TIMEOUT_S):
        async with (
            serving(parts) as server,
            httpx2.AsyncClient(base_url=server.url, timeout=TIMEOUT_S) as client,
        ):
            parts.board.close()
            reply = await client.get(STREAM)

    assert reply.status_code == 503
    assert reply.json()["code"] == "service.stopping"


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@contextmanager
def stuck_reader(url: str) -> Iterator[None]:
    """A connection that asks for the stream and takes nothing of it: no loop reads this socket."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", port_of(url)))
        raw.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: s1\r\n\r\n".encode())
        yield


async def publish_until_stuck(board: WatchedBoard, instruments: int) -> int:
    """Publish until the writer took nothing for a hundred rounds, or the reader is dropped; returns
    the most that ever waited.
    """
    names = [f"spot/S{number}USDT" for number in range(instruments)]
    most = number = untaken = 0
    assert board.reader is not None
    while untaken < 100 and not board.left.is_set():  # a dropped reader takes nothing either
        replaced = board.reader.replaced
        number += 1
        board.post([quote(name, bid=float(number)) for name in names])
        untaken = untaken + 1 if board.reader.replaced - replaced == instruments else 0
        most = max(most, board.reader.pending)
        for _ in range(5):
            await checkpoint()  # the writer's turn, if its socket lets it
    return most


async def test_a_reader_that_stops_reading_does_not_grow_memory() -> None:
    """Megabytes are published to a reader that takes nothing; one quote an instrument
    waits for it.
    """
    board = WatchedBoard()
    instruments = 200

    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts(board)) as server:
            with stuck_reader(server.url):
                await board.came.wait()
                most = await publish_until_stuck(board, instruments)
            await board.left.wait()

    assert most == instruments


async def test_stuck_reader_is_dropped() -> None:
    """The kernel ends the connection (TCP_USER_TIMEOUT), and the slot is free again."""
    board = WatchedBoard()

    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts(board), stuck_reader_ms=200) as server:
            with stuck_reader(server.url):
                await board.came.wait()
                await publish_until_stuck(board, 200)
                await board.left.wait()

    assert board.subscribers == 0


async def test_stop_waits_for_a_stuck_reader_up_to_the_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board = WatchedBoard()

    with anyio.fail_after(TIMEOUT_S):
        async with serving(WebParts(board), graceful_stop_s=1) as server:
            with stuck_reader(server.url):
                await board.came.wait()
                await publish_until_stuck(board, 200)
                server.stop()
                await board.left.wait()

    assert "timeout graceful shutdown exceeded" in caplog.text


async def test_silent_market_gets_keep_alive_comments() -> None:
    """With nothing to publish a comment comes again and again."""
    board = QuoteBoard()
    events = QuoteEvents(board, QuoteFilter(), WebParts().status, "reader", keep_alive_s=0.001)
    server = HttpServer(events, bind("127.0.0.1", 0), board.close)

    with anyio.fail_after(TIMEOUT_S):
        async with (
            anyio.create_task_group() as tasks,
            httpx2.AsyncClient(timeout=TIMEOUT_S) as client,
        ):
            await tasks.start(server.serve)
            async with client.stream("GET", server.url) as reply:
                lines = reply.aiter_lines()
                opening = [await anext(lines) for _ in range(3)]
                silence = [await anext(lines) for _ in range(6)]
                server.stop()
                await reply.aclose()

    assert opening == [": 0 quotes to begin with", "retry: 2000", ""]
    assert silence == [": nothing new", ""] * 3


def test_a_port_that_is_taken_names_the_setting() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} .* is taken .* S1_HTTP_PORT"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        # RFC 5737 and RFC 6761: an address and a name that nobody's machine has.
        ("192.0.2.1", 0, "192.0.2.1 is not an address of this machine; set S1_HTTP_HOST"),
        ("nobody.invalid", 0, "S1_HTTP_HOST=nobody.invalid is not an address of this machine"),
        ("x" * 70 + ".example", 0, "is not an address of this machine"),
        ("127.0.0.1", 65_536, "S1_HTTP_PORT=65536 is not a port; write 0 to 65535"),
        ("127.0.0.1", -1, "S1_HTTP_PORT=-1 is not a port"),
    ],
)
def test_unavailable_address_names_the_setting(host: str, port: int, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bind(host, port)

    assert message in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::ffff:192.0.2.1"])
def test_without_tokens_only_loopback_is_allowed(host: str) -> None:
    """It is refused without loopback, before the address is resolved (RFC 5737)."""
    with pytest.raises(ConfigurationError) as caught:
        bind(host, 0, loopback_only=True)

    message = str(caught.value)
    assert f"S1_HTTP_HOST={host} can be reached from other machines" in message
    assert "S1_API_TOKENS_FILE, or listen on 127.0.0.1" in message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_needs_no_tokens(host: str) -> None:
    with bind(host, 0, loopback_only=True) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "port 80 on 127.0.0.1 may not be opened by this user; set S1_HTTP_PORT"),
        (errno.ENOBUFS, "cannot be opened (No buffer space available); change S1_HTTP_HOST or"),
    ],
)
def test_bind_error_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    """Refusals that a test running as root on a healthy machine cannot bring about for real."""

    class Refusing(socket.socket):
        def bind(self, _: object) -> None:
            raise OSError(number, "No buffer space available")

    monkeypatch.setattr(socket, "socket", Refusing)

    with pytest.raises(ConfigurationError) as caught:
        bind("127.0.0.1", 80)

    assert message in str(caught.value)
