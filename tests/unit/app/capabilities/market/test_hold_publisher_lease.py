"""Which of several instances publishes, while leases end and Redis fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.app.capabilities.market.hold_publisher_lease import (
    LEASE_MS,
    RENEW_INTERVAL_MS,
    STANDBY_INTERVAL_MS,
    UNREADABLE_MS,
    HoldPublisherLease,
)
from chimera_s1.domain.operations.health import Level
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.publisher_lease import MemoryPublisherLease
from tests.time_limits import TIMEOUT_S


class Rig:
    """One lease, and the instances that want it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryPublisherLease(self.clock, "live:spot")
        self.events: list[tuple[str, EventDetail]] = []

    def instance(self, owner: str) -> HoldPublisherLease:
        return HoldPublisherLease(
            self.store, owner, self.clock, lambda kind, detail: self.events.append((kind, detail))
        )

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


@asynccontextmanager
async def running(*instances: HoldPublisherLease) -> AsyncIterator[anyio.CancelScope]:
    """Instances that were started one after another; cancelling the scope kills the first one."""
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()

            async def run_first() -> None:
                with first:
                    await instances[0].run()

            tasks.start_soon(run_first)
            for instance in instances[1:]:
                await settle()
                tasks.start_soon(instance.run)
            await settle()
            yield first
            tasks.cancel_scope.cancel()


async def test_a_single_instance_publishes_at_once_and_goes_on() -> None:
    rig = Rig()
    one = rig.instance("one")
    assert not one.publishing
    assert one.report().level is Level.ORANGE
    async with running(one):
        for _ in range(5):
            assert one.publishing
            await rig.clock.advance(RENEW_INTERVAL_MS)
        assert rig.clock.monotonic_ms() > LEASE_MS

    assert (one.term, rig.kinds()) == (1, ["publisher.began"])
    assert one.report().level is Level.GREEN
    assert one.report().sentence == "publishes; lease live:spot"


async def test_a_second_instance_stands_by_and_says_so() -> None:
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    async with running(one, other):
        await rig.clock.advance(2 * STANDBY_INTERVAL_MS)

        assert (one.publishing, other.publishing) == (True, False)
    assert rig.kinds() == ["publisher.began", "publisher.standby"]
    assert other.report().level is Level.GREEN
    assert other.report().sentence.startswith("standby: one publishes (lease live:spot)")


async def test_the_standby_takes_over_when_the_holder_dies() -> None:
    """Not before its lease ends, and at its next look after it."""
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    async with running(one, other) as first:
        await rig.clock.advance(RENEW_INTERVAL_MS)
        first.cancel()
        await settle()
        await rig.clock.advance(LEASE_MS - 1)
        assert not other.publishing
        await rig.clock.advance(STANDBY_INTERVAL_MS + 1)

        assert other.publishing
    assert rig.events[-1] == (
        "publisher.began",
        {"lease": "live:spot", "instance": "other", "other": "one"},
    )


async def test_the_standby_takes_over_at_once_when_the_holder_releases_the_lease() -> None:
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    async with running(one, other) as first:
        first.cancel()
        await settle()
        await one.release()
        assert not one.publishing
        await rig.clock.advance(STANDBY_INTERVAL_MS)

        assert other.publishing


async def test_releasing_is_no_error_where_redis_is_unavailable() -> None:
    """The lease expires."""
    rig = Rig()
    one = rig.instance("one")
    async with running(one) as first:
        first.cancel()
    rig.store.unavailable = True

    await one.release()

    assert not one.publishing


async def test_while_the_lease_cannot_be_read_the_holder_goes_on_and_a_standby_waits() -> None:
    """For ever; also with a lease that has expired meanwhile. Then the holder has it again."""
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    async with running(one, other):
        rig.store.unavailable = True
        for _ in range(5):
            await rig.clock.advance(RENEW_INTERVAL_MS)
            assert (one.publishing, other.publishing) == (True, False)
        reports = one.report(), other.report()
        assert [each.level for each in reports] == [Level.YELLOW, Level.ORANGE]
        assert all("the lease cannot be read" in each.sentence for each in reports)

        rig.store.owner = ""
        rig.store.unavailable = False
        await rig.clock.advance(RENEW_INTERVAL_MS)
        assert one.publishing is not other.publishing


async def test_an_instance_that_never_read_the_lease_publishes_nothing() -> None:
    rig = Rig()
    rig.store.unavailable = True
    one = rig.instance("one")
    async with running(one):
        await rig.clock.advance(2 * STANDBY_INTERVAL_MS)
        assert not one.publishing
        assert one.report().level is Level.ORANGE

        rig.store.unavailable = False
        await rig.clock.advance(STANDBY_INTERVAL_MS)
        assert one.publishing


async def test_a_paused_holder_does_not_publish_before_it_has_read_the_lease() -> None:
    """It wakes up after its lease has ended; meanwhile another instance has taken over."""
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    await one.check()
    await rig.clock.advance(LEASE_MS)
    await other.check()

    assert (one.publishing, other.publishing) == (False, True)
    assert one.report().publishing, "it does not know yet"
    await one.check()

    assert (one.publishing, other.publishing) == (False, True)
    assert rig.kinds()[-1] == "publisher.stopped"
    assert one.report().sentence.startswith("standby: other publishes")


async def test_a_holder_that_was_paused_while_it_read_the_lease_reads_it_again() -> None:
    """Awake, the time limit of the read has passed; meanwhile another instance has taken over."""
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    await one.check()
    rig.store.unavailable = True

    async def pause() -> None:
        rig.store.unavailable, rig.store.before_failure = False, None
        await rig.clock.advance(LEASE_MS)
        await other.check()

    rig.store.before_failure = pause
    await one.check()

    assert (one.publishing, other.publishing) == (False, True)
    assert rig.kinds()[-1] == "publisher.stopped"


async def test_a_holder_that_is_paused_in_an_outage_reads_the_lease_before_it_goes_on() -> None:
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    await one.check()
    rig.store.unavailable = True
    await one.check()
    await rig.clock.advance(UNREADABLE_MS - 1)
    assert one.publishing
    await rig.clock.advance(1)
    rig.store.unavailable = False
    await other.check()

    assert (one.publishing, other.publishing) == (False, True)


@pytest.mark.parametrize("unavailable", [False, True])
async def test_a_paused_holder_goes_on_in_a_new_term(unavailable: bool) -> None:
    """Its lease is free or cannot be read. Meanwhile another instance may have published and
    stopped, so that it reads the streams again.
    """
    rig = Rig()
    one, other = rig.instance("one"), rig.instance("other")
    await one.check()
    await rig.clock.advance(LEASE_MS)
    await other.check()
    await other.release()
    assert not one.publishing
    seen = one.changes.version
    rig.store.unavailable = unavailable
    await one.check()

    assert (one.publishing, one.term) == (True, 2)
    assert one.changes.version > seen
    assert rig.kinds() == ["publisher.began"] * 3
    rig.store.unavailable = False
    await one.check()
    assert (one.publishing, one.term) == (True, 2)


async def test_a_lease_that_never_expires_is_named() -> None:
    """Written by hand; the standby would wait for ever."""
    rig = Rig()
    other = rig.instance("other")
    await rig.store.acquire("somebody", LEASE_MS)
    rig.store.endless = True
    await other.check()

    assert other.report().level is Level.ORANGE
    assert "never expires" in other.report().sentence
