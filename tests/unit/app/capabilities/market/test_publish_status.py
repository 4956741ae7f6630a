"""`mkt:status` is written by the instance that publishes."""

from collections.abc import Sequence

import anyio
import pytest

from chimera_s1.app.capabilities.market.hold_publisher_lease import LEASE_MS, HoldPublisherLease
from chimera_s1.app.capabilities.market.publish_status import PublishStatus
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.market_status import MemoryMarketStatus
from tests.fakes.publisher_lease import MemoryPublisherLease


def change(symbol: str, state: Liveness) -> StatusChange:
    return StatusChange(1, symbol, state, 1, "spot-0")


class Rig:
    """A standby and the holder of its lease."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryPublisherLease(self.clock)
        self.written = MemoryMarketStatus()
        self.lease = HoldPublisherLease(self.store, "one", self.clock, lambda *_: None)
        self.status = PublishStatus(self.written, self.lease, self.clock)

    async def stand_by(self) -> None:
        await self.store.acquire("other", LEASE_MS)
        await self.lease.check()

    async def take_over(self) -> None:
        await self.store.release("other")
        await self.lease.check()

    def times(self) -> Sequence[tuple[int, int]]:
        return [(each.ts, each.since) for _, each in self.written.changes]

    def changes(self) -> Sequence[tuple[str, str]]:
        return [(each.symbol, each.state.value) for _, each in self.written.changes]


async def test_the_publisher_writes_each_change() -> None:
    rig = Rig()
    await rig.lease.check()
    await rig.status.append(Venue.SPOT, [change("*", Liveness.GAP), change("A", Liveness.LIVE)])
    await rig.status.append(Venue.SPOT, [change("A", Liveness.QUIET)])

    assert rig.changes() == [("*", "GAP"), ("A", "LIVE"), ("A", "QUIET")]


async def test_a_standby_writes_nothing_and_after_a_take_over_every_state() -> None:
    """At once; the predecessor's last word may be another. Gaps of a standby are its own."""
    rig = Rig()
    await rig.stand_by()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rig.status.run)
        await rig.status.append(
            Venue.SPOT, [change("*", Liveness.GAP), change("A", Liveness.BLIND)]
        )
        await rig.status.append(Venue.SPOT, [change("A", Liveness.LIVE)])
        await rig.status.append(Venue.PERP, [change("B", Liveness.QUIET)])
        assert rig.changes() == []
        await rig.clock.advance(LEASE_MS / 2)
        await rig.take_over()
        await settle()
        assert rig.changes() == [("A", "LIVE"), ("B", "QUIET")]
        assert rig.times() == [(rig.clock.now_ms(), 1)] * 2, "not before the predecessor's entries"
        await rig.status.append(Venue.SPOT, [change("A", Liveness.STALE)])
        tasks.cancel_scope.cancel()

    assert rig.changes()[2:] == [("A", "STALE")]


async def test_states_that_could_not_be_written_follow_with_the_next_change() -> None:
    rig = Rig()
    await rig.stand_by()
    await rig.status.append(Venue.SPOT, [change("A", Liveness.LIVE)])
    await rig.take_over()
    rig.written.unavailable = True
    with pytest.raises(PublisherUnavailableError):
        await rig.status.append(Venue.SPOT, [change("B", Liveness.LIVE)])
    rig.written.unavailable = False

    await rig.status.append(Venue.SPOT, [change("B", Liveness.LIVE)])

    assert rig.changes() == [("A", "LIVE"), ("B", "LIVE")]
