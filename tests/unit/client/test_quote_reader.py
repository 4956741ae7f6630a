"""Quotes of a slow consumer, and of a cluster that answers in part, on virtual time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import pytest

from chimera_s1_client import (
    InvalidArgumentError,
    Quote,
    QuoteReader,
    ReaderOptions,
    RedisAccess,
    RedisUnavailableError,
    quote_reader,
    read_quotes,
)
from chimera_s1_client.quote_reader import QUEUE_MAX
from chimera_s1_client.stream_cursor import Command, Entry
from tests.virtual_time import EPOCH_MS, LoopClock, on_virtual_time

SPOT, PERP = "spot/BTCUSDT", "perp/BTCUSDT"
BID = {"bid1": "1", "ask1": "2", "mid": "1.5", "spread_bps": "1", "top1_qty": "1", "top1_usdt": "1"}


class FakeStreams:
    """A cluster of streams; the names in `down` are on a node that does not answer."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self.down: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def by_node(self, streams: Sequence[str]) -> list[list[str]]:
        return [list(streams)]

    async def read(self, commands: Sequence[Command]) -> list[list[Entry]]:
        if self.down.intersection(str(command[1]) for command in commands):
            raise RedisUnavailableError("connection refused")
        return [self._reply(*command) for command in commands]

    def _reply(self, *command: str | int) -> list[Entry]:
        name, name_of_stream, first, *_, count = command
        found = self.entries.get(str(name_of_stream), [])
        if name == "XREVRANGE":
            return found[::-1][: int(count)]
        return [each for each in found if _parsed(each[0]) >= _parsed(str(first))][: int(count)]

    def quote(self, instrument: str, at_ms: int, number: int = 0) -> None:
        fields = {
            "ts": str(at_ms),
            **BID,
            "top1_qty": str(number),
            "src": "binance.spot.bookTicker",
        }
        self._add(f"mkt:events:{instrument.replace('/', ':')}", f"{at_ms}-{number}", fields)

    def status(self, venue: str, state: str, at_ms: int) -> None:
        fields = {"ts": str(at_ms), "symbol": "BTCUSDT", "state": state, "since": "1", "cause": "x"}
        self._add(f"mkt:status:{venue}", f"{at_ms}-0", fields)

    def _add(self, stream: str, entry_id: str, fields: dict[str, str]) -> None:
        self.entries.setdefault(stream, []).append((entry_id, fields))


def _parsed(entry_id: str) -> tuple[int, int]:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number)


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> FakeStreams:
    fake = FakeStreams()
    for venue in ("spot", "perp"):
        fake.status(venue, "LIVE", EPOCH_MS)
    monkeypatch.setattr(quote_reader, "ClusterStreams", lambda _: fake)
    return fake


@asynccontextmanager
async def reading(options: ReaderOptions | None = None, *names: str) -> AsyncIterator[QuoteReader]:
    access = RedisAccess(addresses="127.0.0.1:1")
    now_ms = LoopClock().now_ms
    async with read_quotes(access, names or [SPOT], options, now_ms=now_ms) as quotes:
        yield quotes


def state(quotes: QuoteReader, instrument: str = SPOT) -> tuple[int, str]:
    """The number of the newest quote, and its state."""
    newest = quotes.newest(instrument)
    assert newest is not None
    return round(newest.top1_qty), newest.condition.state


async def pass_seconds(seconds: float) -> None:
    await LoopClock().sleep_ms(seconds * 1000)


@on_virtual_time
async def test_the_newest_quote_without_iterating_is_the_newest(streams: FakeStreams) -> None:
    async with reading(ReaderOptions(newest_only=True)) as quotes:
        streams.quote(SPOT, EPOCH_MS, 1)
        await pass_seconds(1)
        for number in range(2, 3 * QUEUE_MAX):
            streams.quote(SPOT, EPOCH_MS, number)
        await pass_seconds(1)

        assert state(quotes) == (3 * QUEUE_MAX - 1, "LIVE")
        with pytest.raises(InvalidArgumentError):
            aiter(quotes)


@on_virtual_time
async def test_a_quote_that_waited_for_its_consumer_is_behind(streams: FakeStreams) -> None:
    """Nothing newer is read while the queue is full, however long that lasts."""
    async with reading() as quotes:
        streams.quote(SPOT, EPOCH_MS, 1)
        await pass_seconds(1)
        assert state(quotes) == (1, "LIVE")
        for number in range(2, QUEUE_MAX + 100):
            streams.quote(SPOT, EPOCH_MS, number)
        await pass_seconds(1)
        assert state(quotes)[1] == "BEHIND"

        found: list[Quote] = []
        async for update in quotes:
            if isinstance(update, Quote):
                found.append(update)
                if update.top1_qty == QUEUE_MAX + 99:
                    break
    assert [round(each.top1_qty) for each in found] == list(range(1, QUEUE_MAX + 100))
    assert {each.condition.state for each in found[:-1]} == {"BEHIND"}
    assert found[-1].condition.state == "LIVE"


@on_virtual_time
async def test_a_state_that_cannot_be_read_does_not_stay_live(streams: FakeStreams) -> None:
    """Quotes go on, `mkt:status:spot` is on a node that is down; the other venue's is not."""
    async with reading(None, SPOT, PERP) as quotes:
        for second in range(12):
            for name in (SPOT, PERP):
                streams.quote(name, EPOCH_MS + second * 1000, second)
            await pass_seconds(1)
            if second == 0:
                assert (state(quotes), state(quotes, PERP)) == ((0, "LIVE"), (0, "LIVE"))
                streams.down = {"mkt:status:spot", "metrics:events:s1.ws_rtt"}
        assert (state(quotes), state(quotes, PERP)) == ((11, "UNREADABLE"), (11, "LIVE"))

        streams.down.clear()
        streams.status("spot", "STALE", EPOCH_MS + 12_000)
        await pass_seconds(3)
        assert state(quotes) == (11, "STALE")


@on_virtual_time
async def test_a_status_stream_that_is_down_from_the_start_delays_no_quote(
    streams: FakeStreams,
) -> None:
    streams.down = {"mkt:status:spot"}
    async with reading() as quotes:
        streams.quote(SPOT, EPOCH_MS, 1)
        await pass_seconds(1)
        assert state(quotes) == (1, "UNREADABLE")


@on_virtual_time
async def test_what_a_dead_service_left_is_not_taken_for_its_life(streams: FakeStreams) -> None:
    """Entries after a stored position, and those of an outage, are as old as their ids say."""
    for number in range(1, 4):
        streams.quote(SPOT, EPOCH_MS - 60_000, number)
    streams.entries["mkt:status:spot"] = []
    streams.status("spot", "LIVE", EPOCH_MS - 60_000)
    stored = ReaderOptions(positions={SPOT: f"{EPOCH_MS - 60_000}-1"})
    async with reading(stored) as quotes:
        await pass_seconds(1)
        assert state(quotes) == (3, "SILENT")
