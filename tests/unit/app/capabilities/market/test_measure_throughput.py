"""Throughput: data messages per second over all feeds, by elapsed time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.app.capabilities.market.measure_throughput import MeasureThroughput
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.identifiers import Venue
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.operations_log import MemoryOperationsLog
from tests.sample_quotes import quote
from tests.time_limits import TIMEOUT_S


class SlowLog(MemoryOperationsLog):
    """A store that may take its time, or refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()
        self.gate.set()
        self.refusing = False

    async def record_throughput(self, messages_per_s: float) -> None:
        await self.gate.wait()
        if self.refusing:
            raise ConfigurationError("another password")
        await super().record_throughput(messages_per_s)


class Bench:
    """Two feeds, the meter and the store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.feeds = [ScriptedMarketFeed(venue) for venue in Venue]
        self.log = SlowLog()
        self.throughput = MeasureThroughput(self.feeds, self.log, self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.throughput.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()

    def receive(self, messages: int) -> None:
        for number in range(messages):
            self.feeds[number % 2].receive(quote())


async def test_messages_of_all_feeds_are_counted_second_by_second() -> None:
    bench = Bench()
    bench.receive(100)
    async with bench.running():
        for messages in (7, 0, 20):
            bench.receive(messages)
            await bench.clock.advance(1000)

            assert bench.throughput.messages_per_s == messages
            assert bench.log.messages_per_s == messages


async def test_late_measurement_is_still_per_second() -> None:
    """While the store kept it waiting, more than a second passed: messages over the true time."""
    bench = Bench()
    async with bench.running():
        bench.log.gate = anyio.Event()
        await bench.clock.advance(1000)
        bench.receive(30)
        await bench.clock.advance(2000)
        bench.log.gate.set()
        await settle()
        await bench.clock.advance(1000)

        assert bench.log.messages_per_s == 10.0


@pytest.mark.parametrize("refusing", [False, True])
async def test_failed_write_is_followed_by_the_next_one(*, refusing: bool) -> None:
    bench = Bench()
    async with bench.running():
        bench.log.unavailable, bench.log.refusing = not refusing, refusing
        bench.receive(5)
        await bench.clock.advance(1000)
        assert bench.log.messages_per_s is None
        assert bench.throughput.messages_per_s == 5

        bench.log.unavailable = bench.log.refusing = False
        bench.receive(3)
        await bench.clock.advance(1000)

        assert bench.log.messages_per_s == 3
