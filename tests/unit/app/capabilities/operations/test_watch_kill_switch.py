"""The watched kill switch: on until it was read as off, and as it last was while it
cannot be read.
"""

import logging

import anyio
import pytest

from chimera_s1.app.capabilities.operations.watch_kill_switch import (
    POLL_INTERVAL_MS,
    WatchKillSwitch,
)
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.kill_switch import MemoryKillSwitch
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

LOGGER = "chimera_s1.app.capabilities.operations.watch_kill_switch"


def ignore(kind: str, detail: EventDetail) -> None:
    """Record nothing."""


async def test_a_switch_that_was_never_read_counts_as_on() -> None:
    watch = WatchKillSwitch(MemoryKillSwitch(on=None), ManualClock(), ignore)
    assert (watch.is_on(), watch.last_error) == (True, "")

    await watch.poll()

    assert (watch.is_on(), watch.last_error) == (True, "the kill switch cannot be read")


@pytest.mark.parametrize("last", [True, False])
async def test_the_last_known_position_stays_in_force(*, last: bool) -> None:
    switch = MemoryKillSwitch(on=last)
    watch = WatchKillSwitch(switch, ManualClock(), ignore)
    await watch.poll()

    switch.on = None
    await watch.poll()
    assert watch.is_on() is last
    assert watch.last_error

    switch.on = not last
    await watch.poll()
    assert (watch.is_on(), watch.last_error) == (not last, "")


class ForbiddenSwitch:
    async def read(self) -> bool:
        raise ConfigurationError("Redis refuses the credentials")


async def test_configuration_error_is_kept_as_last_error() -> None:
    watch = WatchKillSwitch(ForbiddenSwitch(), ManualClock(), ignore)

    await watch.poll()

    assert (watch.is_on(), watch.last_error) == (True, "Redis refuses the credentials")


async def test_change_of_the_switch_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """That it is off at the start is no news."""
    caplog.set_level(logging.WARNING, LOGGER)
    switch = MemoryKillSwitch(on=False)
    recorded: list[tuple[str, EventDetail]] = []

    def record(kind: str, detail: EventDetail) -> None:
        recorded.append((kind, detail))

    watch = WatchKillSwitch(switch, ManualClock(), record)
    for position in (False, True, True, None, True, False, False):
        switch.on = position
        await watch.poll()

    assert [record.getMessage() for record in caplog.records] == [
        "the kill switch is ON",
        "cannot read the kill switch: the kill switch cannot be read; its last value holds",
        "the kill switch is off",
    ]
    assert recorded == [
        ("kill_switch.changed", {"to": "on"}),
        ("kill_switch.changed", {"to": "off"}),
    ]


async def test_switch_is_polled_four_times_a_second() -> None:
    clock, switch = ManualClock(), MemoryKillSwitch(on=False)
    watch = WatchKillSwitch(switch, clock, ignore)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            await clock.wait_for_sleeper()
            assert not watch.is_on()
            assert POLL_INTERVAL_MS == 250

            switch.on = True
            await clock.advance(POLL_INTERVAL_MS - 1)
            assert not watch.is_on()
            await clock.advance(1)
            assert watch.is_on()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("reads", "spending_refused", "quotes_withheld", "level"),
    [
        ([], True, True, Level.YELLOW),
        ([None], True, False, Level.YELLOW),
        ([False], False, False, Level.GREEN),
        ([False, None], False, False, Level.YELLOW),
        ([True], True, True, Level.ORANGE),
        ([True, None], True, True, Level.ORANGE),
        ([True, None, False], False, False, Level.GREEN),
    ],
)
async def test_an_unreadable_switch_keeps_its_value_and_unknown_is_on_for_money_only(
    reads: list[bool | None], *, spending_refused: bool, quotes_withheld: bool, level: Level
) -> None:
    switch = MemoryKillSwitch()
    watch = WatchKillSwitch(switch, ManualClock(), ignore)
    for position in reads:
        switch.on = position
        await watch.poll()

    assert watch.is_on() is spending_refused
    assert watch.withholds_quotes is quotes_withheld
    report = watch.report()
    assert report.level is level
    assert ("cannot be read" in report.sentence) is (reads[-1:] == [None])
    assert watch.failures == reads.count(None)
