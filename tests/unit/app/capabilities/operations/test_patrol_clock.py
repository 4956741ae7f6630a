"""The clock patrol measures the offset of an exchange clock."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.app.capabilities.operations.patrol_clock import (
    CHECK_INTERVAL_MS,
    REFRESH_PAUSE_MS,
    UNSURE_RETRY_MS,
    PatrolClock,
)
from chimera_s1.domain.errors import (
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import SAMPLES, ClockOffset
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.operations.reports import ClockReport
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S

INTERVAL_MS = 30_000
AWAY = ExchangeUnavailableError("no answer")


class DistantExchange(MemoryExchangeInformation):
    """A venue whose answers take their time: half of the round trip each way.

    Its clock is its own: a step of ours does not change it. *delays_ms* are those of the next
    replies, after the exchange has read its clock.
    """

    def __init__(self, clock: ManualClock, half_ms: int = 0) -> None:
        super().__init__(clock)
        self.requests = 0
        self.half_ms = half_ms
        self.delays_ms: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self._manual = clock
        self._started_ms = clock.now_ms()

    async def server_time_ms(self, venue: Venue) -> int:
        self.requests += 1
        if self.half_ms:
            await self._manual.advance(self.half_ms)
        await super().server_time_ms(venue)
        answer = self._started_ms + round(self._manual.monotonic_ms()) + self.offset_ms
        self.meanwhile()
        delay_ms = self.half_ms + (self.delays_ms.pop(0) if self.delays_ms else 0)
        if delay_ms:
            await self._manual.advance(delay_ms)
        return answer


def patrol(exchange: MemoryExchangeInformation, clock: ManualClock) -> PatrolClock:
    return PatrolClock(Venue.PERP, exchange, clock, INTERVAL_MS)


@asynccontextmanager
async def running(patrolling: PatrolClock) -> AsyncIterator[None]:
    """The patrol at work, after its first measurement."""
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patrolling.run)
            await settle()
            yield
            tasks.cancel_scope.cancel()


def offset_of(patrolling: PatrolClock) -> float:
    offset = patrolling.offset()
    assert offset is not None
    return offset.offset_ms


@pytest.mark.parametrize("offset_ms", [-1500, 0, 37])
async def test_the_offset_is_taken_at_the_midpoint(offset_ms: int) -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=40)
    exchange.offset_ms = offset_ms
    patrolling = patrol(exchange, clock)

    await patrolling.measure()

    assert offset_of(patrolling) == offset_ms
    report = patrolling.report()
    assert (report.offset, report.p_up) == (patrolling.offset(), 1.0)
    assert report.offset is not None
    assert 40 <= report.offset.bound_ms < 41
    assert patrolling.read_skew().rtt_p50_ms == 80
    assert patrolling.venue is Venue.PERP
    assert exchange.requests == SAMPLES


@pytest.mark.parametrize("step_ms", [-7000, 7000])
async def test_wall_clock_step_during_a_request_keeps_the_offset_right(step_ms: int) -> None:
    """The round trip is monotonic, and the offset that of our clock as it is now."""
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=40)
    exchange.offset_ms = 300
    patrolling = patrol(exchange, clock)
    await patrolling.measure()
    exchange.meanwhile = lambda: clock.step_wall_clock(step_ms)

    await patrolling.measure()

    assert offset_of(patrolling) == 300 - step_ms
    assert patrolling.read_skew().rtt_p95_ms == 80


@pytest.mark.parametrize("step_ms", [-3_600_000, -60, 60, 3_600_000])
async def test_offset_follows_a_step_before_the_next_request(step_ms: int) -> None:
    """Event times are right in the new time at once, not only after the next answer."""
    clock = ManualClock()
    exchange = DistantExchange(clock)
    exchange.offset_ms = 300
    patrolling = patrol(exchange, clock)
    await patrolling.measure()
    event_ms, requests = clock.now_ms() + 300, exchange.requests

    clock.step_wall_clock(step_ms)
    assert event_ms - offset_of(patrolling) == clock.now_ms()
    await patrolling.measure()
    assert event_ms - offset_of(patrolling) == clock.now_ms()
    assert exchange.requests == requests + 1, "the new sample contradicts nothing"


async def test_one_slow_reply_moves_nothing() -> None:
    """It says that the exchange is 2500 ms behind, and proves nothing: it took 5 s."""
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=5)
    patrolling = patrol(exchange, clock)
    await patrolling.measure()

    exchange.delays_ms = [5_000]
    await patrolling.measure()

    assert not exchange.delays_ms
    assert offset_of(patrolling) == 0
    assert patrolling.report().level is Level.GREEN
    assert patrolling.exchange_ms() == clock.now_ms()
    assert exchange.requests == SAMPLES + 2, "a second request was fast enough"


async def test_the_time_to_connect_does_not_count() -> None:
    """The first request of a measurement often opens the connection."""
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=50)
    patrolling = patrol(exchange, clock)
    for requests in (SAMPLES + 1, 2, 2):
        before, exchange.delays_ms = exchange.requests, [300]
        await patrolling.measure()

        offset = patrolling.offset()
        assert offset is not None
        assert offset.bound_ms < 51
        assert exchange.requests == before + requests


async def test_one_wrong_reply_moves_nothing_and_is_checked_at_once() -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=5)
    patrolling = patrol(exchange, clock)
    await patrolling.measure()

    def be_right_again() -> None:
        exchange.offset_ms = 0

    exchange.offset_ms, exchange.meanwhile = 9_000, be_right_again
    await patrolling.measure()

    assert offset_of(patrolling) == 0
    assert exchange.requests == SAMPLES + 2


async def test_only_slow_replies_give_no_offset_and_sign_nothing() -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock)
    patrolling = patrol(exchange, clock)
    with pytest.raises(ClockUncertainError, match="not measured yet"):
        patrolling.exchange_ms()
    assert (patrolling.offset(), patrolling.earliest_exchange_ms()) == (None, 0)

    exchange.delays_ms = [2_100, 2_100, 5_000]
    await patrolling.measure()

    assert patrolling.offset() is None
    with pytest.raises(ClockUncertainError, match="known to 2500 ms only"):
        patrolling.exchange_ms()
    report = patrolling.report()
    assert (report.level, report.p_up) == (Level.YELLOW, 1.0)
    assert clock.now_ms() - 5_002 <= patrolling.earliest_exchange_ms() <= clock.now_ms()


async def test_signing_starts_with_good_samples() -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock)
    exchange.offset_ms = -400
    exchange.delays_ms = [5_000] * SAMPLES
    patrolling = patrol(exchange, clock)

    async with running(patrolling):
        assert patrolling.offset() is None
        await clock.advance(UNSURE_RETRY_MS)

    assert patrolling.exchange_ms() == clock.now_ms() - 400


@pytest.mark.parametrize("failure", [AWAY, ExchangeRefusedError("forbidden")])
async def test_missed_answers_are_counted_and_the_offset_stays(failure: Exception) -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock)
    exchange.offset_ms = 250
    patrolling = patrol(exchange, clock)

    assert patrolling.report() == ClockReport(None, 1.0)
    await patrolling.measure()
    assert isinstance(failure, ExchangeUnavailableError | ExchangeRefusedError)
    exchange.error = failure
    exchange.offset_ms = 9_999
    for _ in range(9):
        await patrolling.measure()

    assert patrolling.offset() == ClockOffset(250, 0)
    assert patrolling.report() == ClockReport(ClockOffset(250, 0), 0.25)


async def test_requests_are_frequent_until_the_first_answer() -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock)
    exchange.error = AWAY

    async with running(patrol(exchange, clock)):
        assert exchange.requests == 1
        await clock.advance(UNSURE_RETRY_MS)
        assert exchange.requests == 2

        exchange.error = None
        await clock.advance(UNSURE_RETRY_MS)
        asked = 2 + SAMPLES
        assert exchange.requests == asked
        exchange.error = AWAY
        await clock.advance(INTERVAL_MS - 1)
        assert exchange.requests == asked
        await clock.advance(1)
        assert exchange.requests == asked + 1
        # An offset is known, so there is no hurry.
        await clock.advance(INTERVAL_MS - 1)
        assert exchange.requests == asked + 1


async def test_requested_refreshes_become_rare_while_they_find_nothing() -> None:
    """An exchange that sends late looks like one whose clock is wrong: its frames request a refresh
    every second.
    """
    clock = ManualClock()
    exchange = DistantExchange(clock)

    patrolling = PatrolClock(Venue.PERP, exchange, clock, interval_ms=3_600_000)

    async with running(patrolling):
        before = exchange.requests
        for _ in range(60):
            patrolling.request_refresh()
            await clock.advance(1_000)
        # At once, and about 5, 15 and 35 s later.
        assert exchange.requests == before + 4


async def test_a_refresh_finds_a_step_and_the_next_one_is_soon_again() -> None:
    """The exchange's clock may step right after a request: only requested refreshes are spaced, not
    the patrol.
    """
    clock = ManualClock()
    exchange = DistantExchange(clock)
    patrolling = patrol(exchange, clock)

    async with running(patrolling):
        for offset_ms in (2_000, -2_000, 50_000):
            exchange.offset_ms = offset_ms
            patrolling.request_refresh()
            await clock.advance(CHECK_INTERVAL_MS)
            assert offset_of(patrolling) == offset_ms
            await clock.advance(REFRESH_PAUSE_MS)


async def test_a_step_of_the_local_clock_is_followed_by_a_measurement() -> None:
    """The machine may have slept, and the monotonic clock with it."""
    clock = ManualClock()
    exchange = DistantExchange(clock)
    patrolling = patrol(exchange, clock)

    async with running(patrolling):
        clock.step_wall_clock(60_000)
        exchange.offset_ms = 60_000
        await clock.advance(CHECK_INTERVAL_MS)

    assert offset_of(patrolling) == 0
