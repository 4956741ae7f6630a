"""The key watch reports missing and excessive permissions."""

import logging

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.app.capabilities.treasury.watch_key import (
    CHECK_INTERVAL_MS,
    LOOK_INTERVAL_MS,
    RETRY_INTERVAL_MS,
    WatchKey,
)
from chimera_s1.app.capability import repeating
from chimera_s1.app.supervisor import supervise
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
    watch = WatchKey(Key(answer), ManualClock())

    assert await watch.check() == LOOK_INTERVAL_MS

    assert watch.problem.startswith(expected)
    assert bool(watch.problem) is bool(expected)


class Watch:
    """A watch whose permissions are due at each `check`."""

    def __init__(self, answer: KeyPermissions | ChimeraError) -> None:
        self.clock = ManualClock()
        self.key = Key(answer)
        self.watch = WatchKey(self.key, self.clock)

    async def check(self, answer: KeyPermissions | ChimeraError) -> str:
        """The problem after that answer."""
        self.key.answer = answer
        await self.clock.advance(CHECK_INTERVAL_MS)
        await self.watch.check()
        return self.watch.problem


async def test_unavailable_exchange_keeps_the_last_problem() -> None:
    watch = Watch(AWAY)
    assert await watch.check(AWAY) == ""
    assert (await watch.check(replace(RIGHT, may_read=False))).startswith("it may not read")
    assert (await watch.check(AWAY)).startswith("it may not read")
    assert await watch.check(RIGHT) == ""


async def test_new_problem_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, LOGGER)
    watch = Watch(RIGHT)
    wrong = replace(RIGHT, may_withdraw=True)
    for answer in (RIGHT, wrong, wrong, AWAY, wrong, RIGHT, wrong):
        await watch.check(answer)

    assert len(caplog.records) == 2
    assert all("the exchange key: it may withdraw" in r.getMessage() for r in caplog.records)


async def test_a_replaced_key_is_read_at_once_until_the_exchange_answers() -> None:
    """What was wrong with the key before says nothing about it."""
    watch = Watch(ExchangeRefusedError("401 -2015"))
    assert await watch.watch.check() == LOOK_INTERVAL_MS
    watch.key.answer = AWAY
    watch.watch.key_replaced()
    assert watch.watch.problem == ""
    await watch.watch.check()
    watch.key.answer = replace(RIGHT, may_withdraw=True)
    await watch.clock.advance(RETRY_INTERVAL_MS)
    await watch.watch.check()
    assert (watch.key.asked, watch.watch.problem[:15]) == (3, "it may withdraw")


class SlowKey(Key):
    """Is replaced while the exchange answers."""

    watch: WatchKey

    async def key_permissions(self) -> KeyPermissions:
        if not self.asked:
            self.watch.key_replaced()
        return await super().key_permissions()


async def test_an_answer_about_a_replaced_key_is_discarded() -> None:
    key = SlowKey(ExchangeRefusedError("401 -2015"))
    key.watch = WatchKey(key, ManualClock())
    assert await key.watch.check() == 0
    assert key.watch.problem == ""
    key.answer = RIGHT
    await key.watch.check()
    assert (key.asked, key.watch.problem) == (2, "")


async def test_permissions_are_read_hourly_and_sooner_after_no_answer() -> None:
    clock, key = ManualClock(), Key(AWAY)
    worker = repeating("key", WatchKey(key, clock).check, clock)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervise, (worker,), anyio.Event())
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
