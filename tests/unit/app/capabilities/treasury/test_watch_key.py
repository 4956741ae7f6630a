"""The key watch reports missing and excessive permissions."""

import logging

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.app.capabilities.treasury.watch_key import (
    CHECK_INTERVAL_MS,
    RETRY_INTERVAL_MS,
    WatchKey,
)
from chimera_s1.app.capability import Job
from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from tests.fakes.manual_clock import ManualClock

RIGHT = KeyPermissions(may_read=True, may_transfer=True, may_withdraw=False, ip_restricted=True)
AWAY = ExchangeUnavailableError("no answer")
LOGGER = "chimera_s1.app.capabilities.treasury.watch_key"


class Key:
    """Returns or raises *answer*."""

    def __init__(self, answer: KeyPermissions | ChimeraError) -> None:
        self.answer = answer
        self.asked = 0

    async def key_permissions(self) -> KeyPermissions:
        self.asked += 1
        if isinstance(self.answer, ChimeraError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (RIGHT, ""),
        (replace(RIGHT, ip_restricted=False), ""),
        (replace(RIGHT, may_withdraw=True), "it may withdraw from the exchange; remove that"),
        (
            replace(RIGHT, may_withdraw=True, may_transfer=False),
            "it may withdraw from the exchange; remove that",
        ),
        (replace(RIGHT, may_transfer=False), "it may not transfer between wallets; enable"),
        (replace(RIGHT, may_read=False), "it may not read histories, so unknown outcomes cannot"),
        (ExchangeRefusedError("401 -2015"), "the exchange does not accept it: 401 -2015"),
    ],
)
async def test_problem_names_the_wrong_permission(
    answer: KeyPermissions | ChimeraError, expected: str
) -> None:
    watch = WatchKey(Key(answer))

    assert await watch.check() == CHECK_INTERVAL_MS

    assert watch.problem.startswith(expected)
    assert bool(watch.problem) is bool(expected)


async def test_unavailable_exchange_keeps_the_last_problem() -> None:
    key = Key(AWAY)
    watch = WatchKey(key)
    assert await watch.check() == RETRY_INTERVAL_MS
    assert watch.problem == ""

    key.answer = replace(RIGHT, may_read=False)
    await watch.check()
    key.answer = AWAY
    assert await watch.check() == RETRY_INTERVAL_MS
    assert watch.problem.startswith("it may not read")

    key.answer = RIGHT
    await watch.check()
    assert watch.problem == ""


async def test_new_problem_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, LOGGER)
    key = Key(RIGHT)
    watch = WatchKey(key)
    wrong = replace(RIGHT, may_withdraw=True)
    for answer in (RIGHT, wrong, wrong, AWAY, wrong, RIGHT, wrong):
        key.answer = answer
        await watch.check()

    assert len(caplog.records) == 2
    assert all("the exchange key: it may withdraw" in r.getMessage() for r in caplog.records)


async def test_permissions_are_read_hourly_and_sooner_after_no_answer() -> None:
    clock, key = ManualClock(), Key(AWAY)
    job = Job("key", WatchKey(key).check)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.repeat, clock)
            await clock.wait_for_sleeper()
            await clock.advance(RETRY_INTERVAL_MS - 1)
            assert key.asked == 1

            key.answer = RIGHT
            await clock.advance(1)
            assert key.asked == 2

            await clock.advance(CHECK_INTERVAL_MS - 1)
            assert key.asked == 2
            await clock.advance(1)
            assert key.asked == 3
            tasks.cancel_scope.cancel()
