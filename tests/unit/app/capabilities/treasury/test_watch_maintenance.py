"""The watch of the exchange's status: when it is read, and what it says."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.app.capabilities.treasury.watch_maintenance import (
    CHECK_INTERVAL_MS,
    DEBOUNCE_MS,
    RETRY_INTERVAL_MS,
    WatchMaintenance,
)
from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.exchange_status import ExchangeStatus
from chimera_s1.domain.treasury.events import FailureReason, TreasuryEvent
from tests.fakes.manual_clock import ManualClock, settle
from tests.time_limits import TIMEOUT_S
from tests.transfer_events import NOT_PROCESSED, REQUESTED, RESERVED, UNKNOWN, failed_event

NORMAL = ExchangeStatus(message="status 0 normal")
MAINTENANCE = ExchangeStatus(maintenance=True, message="status 1 system_maintenance")
AWAY = ExchangeUnavailableError("no answer")
LOGGER = "chimera_s1.app.capabilities.treasury.watch_maintenance"


class Exchange:
    """Returns or raises *answer*."""

    def __init__(self, answer: ExchangeStatus | ChimeraError) -> None:
        self.answer = answer
        self.reads = 0

    async def exchange_status(self) -> ExchangeStatus:
        self.reads += 1
        if isinstance(self.answer, ChimeraError):
            raise self.answer
        return self.answer


@asynccontextmanager
async def watching(clock: ManualClock, watch: WatchMaintenance) -> AsyncIterator[None]:
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            await clock.wait_for_sleeper()
            yield
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "maintenance", "problem", "next_ms"),
    [
        (NORMAL, "", "", CHECK_INTERVAL_MS),
        (MAINTENANCE, "status 1 system_maintenance", "", RETRY_INTERVAL_MS),
        (
            ExchangeStatus(unknown=True, message="status 2 partial"),
            "",
            "status 2 partial is not documented",
            RETRY_INTERVAL_MS,
        ),
        (AWAY, "", "no answer", RETRY_INTERVAL_MS),
        (ExchangeRefusedError("404"), "", "404", RETRY_INTERVAL_MS),
    ],
)
async def test_each_answer_has_its_meaning_and_its_wait(
    answer: ExchangeStatus | ChimeraError, maintenance: str, problem: str, next_ms: float
) -> None:
    watch = WatchMaintenance(Exchange(answer), ManualClock())
    assert not watch.has_checked

    assert await watch.check() == next_ms

    assert (watch.maintenance, watch.problem) == (maintenance, problem)
    assert watch.has_checked


async def test_an_unreadable_status_keeps_the_last_one() -> None:
    exchange = Exchange(MAINTENANCE)
    watch = WatchMaintenance(exchange, ManualClock())
    await watch.check()

    exchange.answer = AWAY
    await watch.check()
    assert (watch.maintenance, watch.problem) == (MAINTENANCE.message, "no answer")

    exchange.answer = NORMAL
    await watch.check()
    assert (watch.maintenance, watch.problem) == ("", "")


async def test_the_status_is_read_hourly_and_each_minute_in_a_maintenance() -> None:
    clock, exchange = ManualClock(), Exchange(NORMAL)
    async with watching(clock, WatchMaintenance(exchange, clock)):
        exchange.answer = MAINTENANCE
        await clock.advance(CHECK_INTERVAL_MS + DEBOUNCE_MS - 1)
        assert exchange.reads == 1
        await clock.advance(1)
        assert exchange.reads == 2

        await clock.advance(RETRY_INTERVAL_MS + DEBOUNCE_MS - 1)
        assert exchange.reads == 2
        await clock.advance(1)
        assert exchange.reads == 3


@pytest.mark.parametrize("event", [UNKNOWN, NOT_PROCESSED])
async def test_a_transfer_without_an_outcome_causes_one_more_read(event: TreasuryEvent) -> None:
    clock, exchange = ManualClock(), Exchange(NORMAL)
    watch = WatchMaintenance(exchange, clock)
    async with watching(clock, watch):
        watch.recheck_after([REQUESTED, RESERVED, failed_event(FailureReason.REFUSED)])
        await clock.advance(DEBOUNCE_MS)
        assert exchange.reads == 1

        for _ in range(100):
            watch.recheck_after([event])
        await settle()
        await clock.advance(DEBOUNCE_MS)
        assert exchange.reads == 2
        await clock.advance(DEBOUNCE_MS)
        assert exchange.reads == 2


async def test_begin_and_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    exchange = Exchange(NORMAL)
    watch = WatchMaintenance(exchange, ManualClock())
    for answer in (NORMAL, MAINTENANCE, MAINTENANCE, AWAY, MAINTENANCE, NORMAL, NORMAL):
        exchange.answer = answer
        await watch.check()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "(status 1 system_maintenance): no transfer is accepted" in caplog.text
