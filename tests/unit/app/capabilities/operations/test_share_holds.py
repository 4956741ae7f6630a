"""What one instance hears of a venue's limits holds all of them."""

from chimera_s1.app.capabilities.operations.count_instances import CountInstances
from chimera_s1.app.capabilities.operations.share_holds import ShareHolds
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.instance_count import InstanceCount, InstanceShares
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope, VenueHold
from chimera_s1.domain.ports.heartbeat import HeartbeatRecord
from tests.fakes.heartbeat import MemoryHeartbeat
from tests.fakes.manual_clock import ManualClock
from tests.fakes.shared_holds import MemorySharedHolds


class Instances:
    """Two of them, behind one address."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemorySharedHolds(self.clock)
        self.holds = [VenueHold(), VenueHold()]
        self.sharing = [
            ShareHolds(Venue.SPOT, hold, self.store, f"host-{number}", self.clock)
            for number, hold in enumerate(self.holds)
        ]

    def hear(self, scope: HoldScope, duration_ms: float, reason: HoldReason) -> None:
        """The first instance does."""
        now_ms = self.clock.monotonic_ms()
        self.holds[0].hold(scope, duration_ms, f"said {reason.value}", now_ms, reason)

    async def share(self, times: int = 1) -> None:
        for _ in range(times):
            for each in self.sharing:
                await each.check()

    def waits(self, number: int = 1) -> tuple[float, float]:
        now_ms = self.clock.monotonic_ms()
        hold = self.holds[number]
        return hold.dials_wait_ms(now_ms), hold.requests_wait_ms(now_ms)


async def test_a_ban_heard_by_one_instance_holds_the_others_once() -> None:
    """With its cause, and who heard it; sharing it again and again lengthens it nowhere."""
    both = Instances()
    both.hear(HoldScope.ALL, 60_000, HoldReason.BANNED)
    await both.share()
    await both.clock.advance(20_000)
    await both.share(times=3)

    assert both.waits() == (40_000, 40_000)
    assert both.waits(0) == (40_000, 40_000)
    assert both.holds[1].count == 1
    last = both.holds[1].last
    assert last is not None
    assert (last.scope, last.cause, last.heard_by) == (HoldScope.ALL, "said banned", "host-0")
    await both.clock.advance(40_000)
    await both.share()
    assert both.waits() == (0, 0)


async def test_a_close_1008_holds_the_dials_of_all() -> None:
    both = Instances()
    both.hear(HoldScope.DIALS, 60_000, HoldReason.POLICY)
    await both.share()

    assert both.waits() == (60_000, 0)


async def test_an_overload_of_the_venue_is_not_shared() -> None:
    """It is about one request; each instance hears its own."""
    both = Instances()
    both.hear(HoldScope.REQUESTS, 60_000, HoldReason.OVERLOADED)
    await both.share()

    assert both.waits() == (0, 0)


async def test_what_another_instance_heard_outlives_it() -> None:
    """An instance that starts later obeys it too."""
    both = Instances()
    both.hear(HoldScope.ALL, 60_000, HoldReason.RATE_LIMITED)
    await both.sharing[0].check()
    await both.clock.advance(10_000)
    await both.sharing[1].check()

    assert both.waits() == (50_000, 50_000)


async def test_without_redis_each_instance_has_its_own_holds_and_says_so() -> None:
    both = Instances()
    both.store.available = False
    both.hear(HoldScope.ALL, 60_000, HoldReason.BANNED)
    await both.share()
    assert (both.waits(0), both.waits()) == ((60_000, 60_000), (0, 0))
    assert both.sharing[1].failure == "no hold can be shared"

    both.store.available = True
    await both.share()
    assert both.waits() == (60_000, 60_000)
    assert both.sharing[1].failure == ""


async def test_instances_of_the_same_environment_are_counted() -> None:
    """This one, which has not shown itself yet, too; those of a testnet use other hosts."""
    clock, heartbeat, applied = ManualClock(), MemoryHeartbeat(), list[InstanceShares]()
    counting = CountInstances(heartbeat, "me", "live", InstanceCount(1), applied.append, clock)
    for name, environment in (("a", "live"), ("b", "live"), ("c", "testnet")):
        await heartbeat.beat(
            HeartbeatRecord(
                instance=name,
                ts=0,
                started_at=0,
                version="1",
                environment=environment,
                venues="spot",
                shard="0/1",
            )
        )
    await counting.check()
    heartbeat.available = False
    await counting.check()

    assert applied == [InstanceShares(4, 3), InstanceShares(4, 3)]
    assert counting.sentence().endswith("not counted now: no heartbeat can be written")
