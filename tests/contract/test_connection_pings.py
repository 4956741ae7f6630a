"""One market data socket and its pings: late pongs, no pongs, and no sign of life at all."""

import struct

import anyio
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.binance.streams.ping_log import PING_INTERVAL_MS, SILENT_PINGS_MAX
from tests.contract.raw_exchange import (
    CLOSE,
    PING,
    PONG,
    RawExchange,
    book_ticker_message,
    raw_exchange,
    server_frame,
)
from tests.contract.socket_line import Line
from tests.fakes.manual_clock import settle
from tests.time_limits import TIMEOUT_S

READ_INTERVAL_MS = 10
END = server_frame(struct.pack(">H", 1000), CLOSE)


async def next_ping(line: Line, exchange: RawExchange, number: int) -> bytes:
    """Wait until ping *number* is due, and has arrived."""
    await line.clock.advance(PING_INTERVAL_MS)
    return await exchange.wait_for_frame(PING, number)


async def test_a_socket_that_delivers_outlives_its_missing_pongs() -> None:
    """Data before each ping, never a pong: the socket lives until the venue closes it."""
    pings = 2 * SILENT_PINGS_MAX
    frames = [server_frame(book_ticker_message(number)) for number in range(1, pings + 1)]
    with anyio.fail_after(TIMEOUT_S):
        async with raw_exchange([*frames, END]) as exchange:
            line = Line(exchange)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(line.run)
                for number in range(1, pings + 1):
                    await line.frames(number)
                    await next_ping(line, exchange, number)
                    exchange.send_next()
                assert await line.ended() == "closed by the venue: 1000"
    assert line.round_trips == []


async def test_a_late_pong_is_the_round_trip_of_its_own_ping() -> None:
    """2.5 s late, as two later pings are under way: measured, and the socket stays."""
    pong = server_frame(b"1", PONG)
    with anyio.fail_after(TIMEOUT_S):
        async with raw_exchange(
            [server_frame(book_ticker_message(1)), pong, server_frame(book_ticker_message(2)), END]
        ) as exchange:
            line = Line(exchange)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(line.run)
                await line.frames(1)
                assert await next_ping(line, exchange, 1) == b"1"
                await next_ping(line, exchange, 2)
                await line.clock.advance(500)
                exchange.send_next()
                await line.measured(1)
                exchange.send_next()
                await line.frames(2)
                exchange.send_next()
                await line.ended()
    assert line.round_trips == [2_500]


async def test_pongs_alone_keep_a_socket_but_nothing_at_all_ends_it() -> None:
    """A calm market is no fault; a line without even a pong is, at 15 s at most."""
    pongs = 3
    with anyio.fail_after(TIMEOUT_S):
        async with raw_exchange(
            [
                server_frame(book_ticker_message(1)),
                *(server_frame(b"%d" % number, PONG) for number in range(1, pongs + 1)),
            ]
        ) as exchange:
            line = Line(exchange)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(line.run)
                await line.frames(1)
                for number in range(1, pongs + 1):
                    await next_ping(line, exchange, number)
                    exchange.send_next()
                    await line.measured(number)
                last_ms = line.clock.monotonic_ms()
                while not line.cause:
                    await line.clock.advance(PING_INTERVAL_MS)
                    await settle()
                silence_ms = line.clock.monotonic_ms() - last_ms
                cause = await line.ended()
    assert cause == "nothing received for 12 s, not even a pong"
    assert silence_ms <= 15_000
    assert len(line.round_trips) == pongs


async def test_a_socket_is_read_at_once_while_its_pong_is_awaited(tasks: TaskGroup) -> None:
    """The round trip shown is the network's: the read timer is no part of it."""
    async with raw_exchange(
        [server_frame(book_ticker_message(1)), server_frame(b"1", PONG)]
    ) as exchange:
        line = Line(exchange, READ_INTERVAL_MS)
        tasks.start_soon(line.run)  # no tick ever comes: `pacer.run` is not started
        with anyio.fail_after(TIMEOUT_S):
            await line.frames(1)
            await next_ping(line, exchange, 1)
            exchange.send_next()
            await line.measured(1)
    assert line.round_trips == [0]


@pytest.mark.parametrize("payload", [b"", b"7", b"\xff", b"01"], ids=["empty", "7", "bytes", "01"])
async def test_a_pong_that_answers_no_ping_measures_nothing(payload: bytes) -> None:
    """An unsolicited pong is legal (RFC 6455, 5.5.3)."""
    with anyio.fail_after(TIMEOUT_S):
        async with raw_exchange(
            [server_frame(book_ticker_message(1)), server_frame(payload, PONG) + END]
        ) as exchange:
            line = Line(exchange)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(line.run)
                await line.frames(1)
                await next_ping(line, exchange, 1)
                exchange.send_next()
                await line.ended()
    assert line.round_trips == []
