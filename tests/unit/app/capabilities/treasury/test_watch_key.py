"""The key watch reports missing and excessive permissions."""

import logging
from contextlib import suppress

import pytest
from msgspec.structs import replace

from chimera_s1.app.capabilities.treasury.watch_key import UNSIGNED_RETRY_MS, WatchKey
from chimera_s1.app.capability import JobResult
from chimera_s1.domain.errors import (
    ChimeraError,
    ClockUncertainError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.ports.key_permissions import KeyPermissions

RIGHT = KeyPermissions(
    may_read=True, may_transfer=True, may_use_futures=True, may_withdraw=False, ip_restricted=True
)
RIGHT_SENTENCE = "the key may read, transfer and use futures, and may not withdraw"
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
            "it may withdraw from the exchange; remove that permission; it may not transfer",
        ),
        (replace(RIGHT, may_transfer=False), "it may not transfer between wallets; enable"),
        (replace(RIGHT, may_read=False), "it may not read histories, so unknown outcomes cannot"),
        (replace(RIGHT, may_use_futures=False), "it may not use futures, so their income"),
        (ExchangeRefusedError("401 -2015"), "the exchange does not accept it: 401 -2015"),
    ],
)
async def test_problem_names_the_wrong_permission(
    answer: KeyPermissions | ChimeraError, expected: str
) -> None:
    watch = WatchKey(Key(answer))

    result = await watch.check()

    assert result.again_ms is None
    assert result.sentence == (watch.problem or RIGHT_SENTENCE)
    assert watch.problem.startswith(expected)
    assert bool(watch.problem) is bool(expected)


class Watch:
    """A watch that reads the permissions at each `check`."""

    def __init__(self, answer: KeyPermissions | ChimeraError) -> None:
        self.key = Key(answer)
        self.watch = WatchKey(self.key)

    async def check(self, answer: KeyPermissions | ChimeraError) -> str:
        """The problem after that answer."""
        self.key.answer = answer
        with suppress(ExchangeUnavailableError):  # the job fails, and is repeated
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


async def test_a_replaced_key_is_read_at_once() -> None:
    """What was wrong with the key before says nothing about it."""
    watch = WatchKey(Key(ExchangeRefusedError("401 -2015")))
    await watch.check()
    version = watch.replaced.version

    watch.key_replaced()

    assert watch.problem == ""
    await watch.replaced.next_after(version)  # wakes the job


async def test_before_the_clock_is_known_it_is_read_again_soon() -> None:
    watch = WatchKey(Key(ClockUncertainError("not measured yet")))

    assert await watch.check() == JobResult("not measured yet", UNSIGNED_RETRY_MS)


class SlowKey(Key):
    """Is replaced while the exchange answers."""

    watch: WatchKey

    async def key_permissions(self) -> KeyPermissions:
        if not self.asked:
            self.watch.key_replaced()
        return await super().key_permissions()


async def test_an_answer_about_a_replaced_key_is_discarded() -> None:
    key = SlowKey(ExchangeRefusedError("401 -2015"))
    key.watch = WatchKey(key)
    assert (await key.watch.check()).again_ms == 0
    assert key.watch.problem == ""
    key.answer = RIGHT
    await key.watch.check()
    assert (key.asked, key.watch.problem) == (2, "")
