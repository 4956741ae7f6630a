"""GAP and RESUMED around the time in which the kill switch is on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.app.capabilities.market.mark_kill_switch import (
    READ_AGAIN_MS,
    MarkKillSwitch,
    kill_switch_cause,
)
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from tests.fakes.kill_switch import MemoryKillSwitch
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.market_status import MemoryMarketStatus
from tests.sample_quotes import quote

NOW_MS = 1_000_000
SPOT, PERP = quote("spot/BTCUSDT"), quote("perp/BTCUSDT")
CAUSE = "kill_switch: the operator's kill switch stops publication"


class Rig:
    def __init__(self, *, publishing: bool = True) -> None:
        self.publishing = publishing
        self.clock = ManualClock(NOW_MS)
        self.switch = MemoryKillSwitch()
        self.watch = WatchKillSwitch(self.switch, self.clock, lambda _, __: None)
        self.written: list[tuple[Venue, str, int, int]] = []
        self.stream = MemoryMarketStatus()
        self.marks = MarkKillSwitch(
            self.watch,
            {venue: partial(self._put, venue) for venue in Venue},
            self.stream,
            self.clock,
            publishing=lambda: self.publishing,
            cause=kill_switch_cause(None),
        )

    def _put(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        assert {(each.symbol, each.cause) for each in changes} == {("*", CAUSE)}
        self.written += [(venue, each.state.value, each.ts, each.since) for each in changes]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.marks.run)
            tasks.start_soon(self.marks.inherit)
            yield
            tasks.cancel_scope.cancel()

    async def read(self, *, on: bool | None) -> None:
        self.switch.on = on
        await self.watch.poll()
        await settle()
        self.clock.step_wall_clock(1000)


async def test_a_gap_of_each_venue_ends_with_its_first_acknowledged_quote() -> None:
    rig = Rig()
    async with rig.running():
        await rig.read(on=False)
        assert rig.written == []
        await rig.read(on=True)
        rig.marks.observe_published([SPOT])  # in flight when it was set
        await rig.read(on=None)
        await rig.read(on=False)
        rig.marks.observe_received([SPOT, PERP])
        since_ms = NOW_MS + 1000
        gaps = [(venue, "GAP", since_ms, since_ms) for venue in Venue]
        assert rig.written == gaps

        rig.marks.observe_published([SPOT])
        rig.marks.observe_published([SPOT])
        assert rig.written[2:] == [(Venue.SPOT, "RESUMED", NOW_MS + 4000, since_ms)]
        rig.marks.observe_published([PERP])
        assert rig.written[3:] == [(Venue.PERP, "RESUMED", NOW_MS + 4000, since_ms)]


async def test_a_switch_that_was_never_read_marks_nothing() -> None:
    rig = Rig()
    async with rig.running():
        await rig.read(on=None)
        rig.marks.begin()
    assert rig.written == []


async def test_a_new_publisher_repeats_the_gap() -> None:
    """What it said as a standby was written nowhere."""
    rig = Rig(publishing=False)
    async with rig.running():
        await rig.read(on=True)
        written = rig.written.copy()
        rig.publishing = True
        rig.marks.begin()
        assert rig.written == [*written, *written]


async def test_the_gap_of_a_standby_ends_with_what_it_receives() -> None:
    rig = Rig(publishing=False)
    async with rig.running():
        await rig.read(on=True)
        rig.marks.observe_received([SPOT])
        await rig.read(on=False)
        rig.marks.observe_received([SPOT, PERP])
        rig.marks.begin()
    assert [state for _, state, _, _ in rig.written] == ["GAP", "GAP", "RESUMED", "RESUMED"]


@pytest.mark.parametrize("still_on", [False, True])
async def test_a_gap_of_a_publisher_that_died_ends_with_the_next_ones_quotes(
    *, still_on: bool
) -> None:
    """Else readers that pair GAP and RESUMED would wait for ever. Redis may be away at first."""
    rig = Rig()
    died = [StatusChange(at, "*", Liveness.GAP, at, CAUSE) for at in (100, 200)]
    ended = replace(died[0], state=Liveness.RESUMED)
    await rig.stream.append(Venue.SPOT, [*died, ended])
    rig.stream.unavailable = True
    async with rig.running():
        await rig.read(on=still_on)
        rig.marks.begin()
        await settle()
        rig.stream.unavailable = False
        await rig.clock.advance(READ_AGAIN_MS)
        await rig.read(on=False)
        rig.written.clear()
        rig.marks.observe_published([SPOT, PERP])
        rig.marks.observe_published([SPOT, PERP])

    resumed = [(venue, since) for venue, state, _, since in rig.written if state == "RESUMED"]
    own = [(venue, NOW_MS) for venue in Venue] if still_on else []
    assert sorted(resumed) == sorted([(Venue.SPOT, 200), *own])
    assert len(resumed) == len(rig.written)
