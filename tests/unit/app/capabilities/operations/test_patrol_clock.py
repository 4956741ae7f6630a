"""The clock patrol measures the offset of an exchange clock."""

from collections.abc import Callable

import anyio
import pytest
from anyio import wait_all_tasks_blocked as settle

from chimera_s1.app.capabilities.operations.patrol_clock import (
    FIRST_ANSWER_RETRY_MS,
    REFRESH_PAUSE_MS,
    STEP_CHECK_INTERVAL_MS,
    PatrolClock,
)
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.reports import ClockReport
from tests.fakes.exchange_information import MemoryExchangeInformation
from tests.fakes.manual_clock import ManualClock

INTERVAL_MS = 30_000
AWAY = ExchangeUnavailableError("no answer")


class DistantExchange(MemoryExchangeInformation):
    """A venue whose answers take their time: half of the round trip each way."""

    def __init__(self, clock: ManualClock, half_ms: int = 0) -> None:
        super().__init__(clock)
        self.questions = 0
        self.half_ms = half_ms
        self.meanwhile: Callable[[], None] = lambda: None
        self._manual = clock

    async def server_time_ms(self, venue: Venue) -> int:
        self.questions += 1
        if self.half_ms:
            await self._manual.advance(self.half_ms)
        answer = await super().server_time_ms(venue)
        self.meanwhile()
        if self.half_ms:
            await self._manual.advance(self.half_ms)
        return answer


def patrol(exchange: MemoryExchangeInformation, clock: ManualClock) -> PatrolClock:
    return PatrolClock(Venue.PERP, exchange, clock, INTERVAL_MS)


@pytest.mark.parametrize("offset_ms", [-1500, 0, 37])
async def test_the_offset_is_taken_at_the_midpoint(offset_ms: int) -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=40)
    exchange.offset_ms = offset_ms
    patrolling = patrol(exchange, clock)

    await patrolling.measure()

    assert patrolling.offset_ms() == offset_ms
    assert patrolling.report() == ClockReport(offset_ms, 1.0)
    assert patrolling.read_skew().rtt_p50_ms == 80
    assert patrolling.venue is Venue.PERP


@pytest.mark.parametrize("step_ms", [-7000, 7000])
async def test_wall_clock_step_during_a_request_keeps_the_offset_right(step_ms: int) -> None:
    """The round trip is monotonic, and the offset that of our clock as it is now."""
    clock = ManualClock()
    exchange = DistantExchange(clock, half_ms=40)
    exchange.offset_ms = 300
    exchange.meanwhile = lambda: clock.step_wall_clock(step_ms)
    patrolling = patrol(exchange, clock)

    await patrolling.measure()

    assert patrolling.offset_ms() == 300 - step_ms
    assert patrolling.read_skew().rtt_p95_ms == 80


@pytest.mark.parametrize("step_ms", [-3_600_000, 3_600_000])
async def test_offset_follows_a_step_before_the_next_request(step_ms: int) -> None:
    """Event times are right in the new time at once, not only after the next answer."""
    clock = ManualClock()
    exchange = DistantExchange(clock)
    exchange.offset_ms = 300
    patrolling = patrol(exchange, clock)
    await patrolling.measure()
    event_ms = clock.now_ms() + 300

    clock.step_wall_clock(step_ms)
    assert event_ms - patrolling.offset_ms() == clock.now_ms()
    exchange.offset_ms -= step_ms
    await patrolling.measure()
    assert event_ms - patrolling.offset_ms() == clock.now_ms()
    assert exchange.questions == 2


@pytest.mark.parametrize("failure", [AWAY, ExchangeRefusedError("forbidden")])
async def test_missed_answers_are_counted_and_the_offset_stays(failure: Exception) -> None:
    clock = ManualClock()
    exchange = MemoryExchangeInformation(clock)
    exchange.offset_ms = 250
    patrolling = patrol(exchange, clock)

    assert patrolling.report() == ClockReport(None, 1.0)
    assert patrolling.offset_ms() == 0.0
    await patrolling.measure()
    assert isinstance(failure, ExchangeUnavailableError | ExchangeRefusedError)
    exchange.error = failure
    exchange.offset_ms = 9_999
    for _ in range(3):
        await patrolling.measure()

    assert patrolling.offset_ms() == 250
    assert patrolling.report() == ClockReport(250, 0.25)


async def test_requests_are_frequent_until_the_first_answer() -> None:
    clock = ManualClock()
    exchange = DistantExchange(clock)
    exchange.error = AWAY
    patrolling = patrol(exchange, clock)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patrolling.run)
            await settle()
            assert exchange.questions == 1
            await clock.advance(FIRST_ANSWER_RETRY_MS)
            assert exchange.questions == 2

            exchange.error = None
            await clock.advance(FIRST_ANSWER_RETRY_MS)
            assert exchange.questions == 3
            exchange.error = AWAY
            await clock.advance(INTERVAL_MS - 1)
            assert exchange.questions == 3
            await clock.advance(1)
            assert exchange.questions == 4
            # An offset is known, so there is no hurry.
            await clock.advance(INTERVAL_MS - 1)
            assert exchange.questions == 4
            tasks.cancel_scope.cancel()


async def test_requested_refreshes_are_paced() -> None:
    """The exchange's clock may have stepped; a slow exchange does not cause a request for each
    frame.
    """
    clock = ManualClock()
    exchange = DistantExchange(clock)
    patrolling = patrol(exchange, clock)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patrolling.run)
            await settle()
            await clock.advance(REFRESH_PAUSE_MS)
            assert exchange.questions == 1

            exchange.offset_ms = 2_000
            patrolling.request_refresh()
            await clock.advance(STEP_CHECK_INTERVAL_MS)
            assert (exchange.questions, patrolling.offset_ms()) == (2, 2_000)
            patrolling.request_refresh()
            await clock.advance(REFRESH_PAUSE_MS - STEP_CHECK_INTERVAL_MS)
            assert exchange.questions == 2
            await clock.advance(STEP_CHECK_INTERVAL_MS)
            assert exchange.questions == 3
            await clock.advance(REFRESH_PAUSE_MS)
            assert exchange.questions == 3
            tasks.cancel_scope.cancel()


async def test_refresh_requested_after_an_answer_is_immediate() -> None:
    """The exchange's clock may step right after a request: only requested refreshes are spaced, not
    the patrol.
    """
    clock = ManualClock()
    exchange = DistantExchange(clock)
    patrolling = patrol(exchange, clock)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patrolling.run)
            await settle()
            assert exchange.questions == 1

            exchange.offset_ms = 2_000
            patrolling.request_refresh()
            await clock.advance(STEP_CHECK_INTERVAL_MS)
            assert (exchange.questions, patrolling.offset_ms()) == (2, 2_000)
            tasks.cancel_scope.cancel()
