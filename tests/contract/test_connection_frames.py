"""One market data socket and frames that no real exchange sends, byte by byte."""

import struct
from itertools import pairwise

import anyio
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.streams.read_pacer import BURST_BYTES
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.market_feed import (
    ConnectionLost,
    ConnectionOpened,
    MessageDropped,
)
from tests.contract.feed_harness import feed_harness
from tests.contract.raw_exchange import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    RESERVED,
    TEXT,
    book_ticker_message,
    raw_exchange,
    server_frame,
)
from tests.contract.socket_line import Line
from tests.fakes.manual_clock import settle
from tests.time_limits import TIMEOUT_S

READ_INTERVAL_MS = 10
UPGRADED = b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


async def test_frames_after_a_ping_get_their_own_receive_time(tasks: TaskGroup) -> None:
    """A ping may be the only or the last frame of a read; the next read has its own time."""
    async with raw_exchange(
        [
            server_frame(book_ticker_message(1)) + server_frame(b"here", PING),
            server_frame(book_ticker_message(2)),
        ]
    ) as exchange:
        line = Line(exchange)
        tasks.start_soon(line.run)
        before_ms = line.clock.now_ms()
        assert await line.frames(1) == [before_ms]
        assert await exchange.wait_for_frame(PONG) == b"here"
        line.clock.step_wall_clock(20_000)
        exchange.send_next()

        assert await line.frames(2) == [before_ms, before_ms + 20_000]


async def test_a_socket_that_was_read_rests_until_the_next_tick(tasks: TaskGroup) -> None:
    """Waking up for each frame would cost more than the frame."""
    async with raw_exchange(
        [server_frame(book_ticker_message(1)), server_frame(book_ticker_message(2))]
    ) as exchange:
        line = Line(exchange, READ_INTERVAL_MS)
        tasks.start_soon(line.pacer.run)
        tasks.start_soon(line.run)
        with anyio.fail_after(TIMEOUT_S):
            (first_ms,) = await line.frames(1)
            exchange.send_next()
            await settle()
            await line.clock.advance(READ_INTERVAL_MS)

            assert await line.frames(2) == [first_ms, first_ms + READ_INTERVAL_MS]


async def test_a_burst_is_read_on_without_waiting_for_a_tick(tasks: TaskGroup) -> None:
    """The kernel holds more; while the socket rests it would fill up."""
    burst = server_frame(book_ticker_message(1)[:-1] + b" " * BURST_BYTES + b"}") + server_frame(
        book_ticker_message(2)
    )
    async with raw_exchange([burst, server_frame(book_ticker_message(3))]) as exchange:
        line = Line(exchange, READ_INTERVAL_MS)
        tasks.start_soon(line.pacer.run)
        tasks.start_soon(line.run)
        with anyio.fail_after(TIMEOUT_S):
            await line.frames(2)
            exchange.send_next()

            assert await line.frames(3) == [line.clock.now_ms()] * 3


@pytest.mark.parametrize(
    ("code", "answer", "cause"),
    [
        (b"", 1000, "closed by the venue, no close code"),
        (struct.pack(">H", 1006), 1000, "closed by the venue: 1006"),
        (struct.pack(">H", 1001), 1001, "closed by the venue: 1001"),
        (struct.pack(">H", 1008) + b"Too many", 1008, "closed by the venue: 1008 Too many"),
        (struct.pack(">H", 4999), 4999, "closed by the venue: 4999"),
    ],
)
async def test_a_close_is_answered_with_a_code_that_may_be_sent(
    code: bytes, answer: int, cause: str
) -> None:
    """RFC 6455, 7.4.1: 1005 and 1006 must not be sent; every close has a cause."""
    with anyio.fail_after(TIMEOUT_S):
        async with raw_exchange(
            [server_frame(book_ticker_message(1)) + server_frame(code, CLOSE)]
        ) as exchange:
            line = Line(exchange)
            ended = await line.run()
            answered = await exchange.wait_for_frame(CLOSE)

    assert ended == cause
    assert struct.unpack(">H", answered) == (answer,)


@pytest.mark.parametrize(
    "illegal",
    [
        server_frame(b"x", RESERVED),
        bytes([0x80 | TEXT, 0x80 | 1, 1, 2, 3, 4, 5]),
        server_frame(struct.pack(">H", 1005), CLOSE),
        server_frame(struct.pack(">H", 2000), CLOSE),
        server_frame(b"1", CLOSE),
        server_frame(struct.pack(">H", 1000) + b"\xff\xfe", CLOSE),
        struct.pack(">BBQ", 0x80 | TEXT, 127, 1 << 40),
        struct.pack(">BBQ", 0x80 | TEXT, 127, 1 << 63),
    ],
    ids=["opcode", "masked", "1005", "2000", "half a code", "reason", "1 TiB", "no length"],
)
async def test_a_protocol_error_ends_only_its_own_connection(
    tasks: TaskGroup, illegal: bytes
) -> None:
    """The feed reports the cause, dials again and continues."""
    async with (
        raw_exchange(
            [server_frame(book_ticker_message(1)) + illegal], [server_frame(book_ticker_message(2))]
        ) as exchange,
        feed_harness(tasks, exchange.addresses, Venue.SPOT, symbols=["BTCUSDT"]) as feed,
    ):
        lost = await feed.next_event(ConnectionLost)
        await feed.next_event(ConnectionOpened)
        quotes = await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 2)

    assert lost.cause.startswith("WebSocket protocol error: ")
    assert exchange.connections_accepted == 2
    assert [quote.update_id for quote in quotes] == [1, 2]


@pytest.mark.parametrize(
    ("odd", "counted"),
    [
        (server_frame(book_ticker_message(2), BINARY), {"not_text": 1}),
        (
            server_frame(book_ticker_message(2)[:20], BINARY, fin=False)
            + server_frame(book_ticker_message(2)[20:], CONTINUATION),
            {"not_text": 1},
        ),
        (
            server_frame(book_ticker_message(2).replace(b"btcusdt@", b"ethusdt@")),
            {"unsubscribed": 1},
        ),
        (server_frame(b"\xff\xfe\xfd"), {"unintelligible": 1}),
        (server_frame(b""), {"unintelligible": 1}),
        (server_frame(book_ticker_message(2)[:-1] + b" " * 5_000_000 + b"}"), {"oversized": 1}),
        (server_frame(b"[" * 60_000), {"unintelligible": 1}),
        (
            server_frame(book_ticker_message(2).replace(b'"u":2', b'"u":' + b"9" * 400)),
            {"malformed": 1},
        ),
    ],
    ids=[
        "binary",
        "binary fragments",
        "another stream",
        "no text",
        "empty",
        "5 MB",
        "nested",
        "a number without end",
    ],
)
async def test_a_legal_frame_without_data_is_counted_and_ignored(
    tasks: TaskGroup, odd: bytes, counted: dict[str, int]
) -> None:
    """The connection stays open; later frames are read."""
    async with (
        raw_exchange(
            [server_frame(book_ticker_message(1)) + odd + server_frame(book_ticker_message(3))]
        ) as exchange,
        feed_harness(tasks, exchange.addresses, Venue.SPOT, symbols=["BTCUSDT"]) as feed,
    ):
        quotes = await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 3)

    assert [quote.update_id for quote in quotes] == [1, 3]
    assert counted == feed.feed.counters.dropped
    assert (exchange.connections_accepted, feed.feed.counters.reconnects) == (1, 0)


def in_frames(payload: bytes, *cuts: int, between: bytes = b"") -> bytes:
    """*payload* cut into frames, with *between* after each but the last."""
    edges = [0, *cuts, len(payload)]
    parts = [payload[start:end] for start, end in pairwise(edges)]
    frames = [
        server_frame(part, CONTINUATION if number else TEXT, fin=part is parts[-1])
        for number, part in enumerate(parts)
    ]
    return between.join(frames)


SAME_MESSAGE = book_ticker_message(2)
STREAM_MEMBER, DATA_MEMBER = SAME_MESSAGE[1:-1].split(b",", 1)


@pytest.mark.parametrize(
    "written",
    [
        server_frame(SAME_MESSAGE.replace(b":", b" : ").replace(b",", b" ,\r\n")),
        server_frame(b"{" + DATA_MEMBER + b"," + STREAM_MEMBER + b"}"),
        server_frame(SAME_MESSAGE.replace(b"{", b'{"id":7,', 1)),
        server_frame(SAME_MESSAGE.replace(b"btcusdt@", b"\\u0062tcusdt@")),
        in_frames(SAME_MESSAGE, 20),
        in_frames(SAME_MESSAGE, 1, 20, 20, 40, between=server_frame(b"x", PING)),
    ],
    ids=["spaces", "data first", "another member", "escapes", "two frames", "frames and pings"],
)
async def test_a_message_is_recognised_however_it_is_written(
    tasks: TaskGroup, written: bytes
) -> None:
    """JSON has no order of members and no fixed spacing; a message may come in several frames."""
    async with (
        raw_exchange(
            [server_frame(book_ticker_message(1)) + written + server_frame(book_ticker_message(3))]
        ) as exchange,
        feed_harness(tasks, exchange.addresses, Venue.SPOT, symbols=["BTCUSDT"]) as feed,
    ):
        quotes = await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 3)

    assert [quote.update_id for quote in quotes] == [1, 2, 3]
    assert feed.feed.counters.dropped == {}


async def test_the_first_message_that_is_not_understood_is_reported(tasks: TaskGroup) -> None:
    """Once a socket, with its first characters; further ones are counted."""
    odd = server_frame(b'{"hello":1}') + server_frame(b'{"hello":2}')
    async with (
        raw_exchange([odd + server_frame(book_ticker_message(3))]) as exchange,
        feed_harness(tasks, exchange.addresses, Venue.SPOT, symbols=["BTCUSDT"]) as feed,
    ):
        reported = await feed.next_event(MessageDropped)
        await feed.drain_until(lambda seen: bool(seen) and seen[-1].update_id == 3)

    assert reported == MessageDropped("spot-0", Venue.SPOT, "unintelligible", '{"hello":1}')
    assert feed.feed.counters.dropped == {"unintelligible": 2}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 \xff\xfe\r\nUpgrade: websocket\r\n\r\n",
        UPGRADED + b"Sec-WebSocket-Accept: x\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: ::nowhere::\r\n\r\n",
    ],
    ids=["nothing", "200", "not ascii", "accept", "no http", "elsewhere", "nowhere"],
)
async def test_an_invalid_handshake_counts_as_a_failed_dial(answer: bytes) -> None:
    """The cause is reported and no exception is raised, for any kind of server."""
    with anyio.fail_after(TIMEOUT_S):
        async with raw_exchange([], handshake=answer) as exchange:
            ended = await Line(exchange).run()

    assert ended.startswith(("cannot connect to ws://127.0.0.1", "connection lost"))
    assert exchange.connections_accepted == 1
