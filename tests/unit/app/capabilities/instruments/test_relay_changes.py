"""Changes of the registry on `ops:events`: in order, each at least once, repeats recognizable."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.app.capabilities.instruments.relay_changes import (
    CURSOR,
    DIFFERENCE_MAX,
    SINGLE_LISTINGS_MAX,
    RelayChanges,
    difference_text,
)
from chimera_s1.app.capabilities.operations.job_lease import LEASE_MS, RENEW_INTERVAL_MS, JobLease
from chimera_s1.app.capabilities.operations.relay_log import (
    OVERLAP,
    PAGE,
    POLL_INTERVAL_MS,
    RelayLog,
)
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.listing_read import ListingRead
from chimera_s1.domain.instruments.sync_plan import plan_sync
from chimera_s1.domain.operations.backoff import Backoff
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.fakes.manual_clock import ManualClock, settle
from tests.faulty_ports import LossyOperationsLog
from tests.sample_instruments import perp_spec

RETRY_MS = 500
ARANGO_STEP = 1_000


class Rig:
    """Instances that relay one registry to one `ops:events`."""

    def __init__(self, position_step: int = 1) -> None:
        self.registry = FakeInstrumentRegistry(position_step)
        self.log = LossyOperationsLog()
        self.cursors = MemoryCursorStore()
        self.clock = ManualClock()
        self.leases = MemoryLeaseStore(self.clock)
        self.changes = ChangeSignal()
        self._now = 0

    def relay(self, owner: str = "one") -> RelayLog:
        return RelayLog(
            RelayChanges(self.registry, self.log),
            self.cursors,
            JobLease("instruments.relay", self.leases, owner, self.clock),
            cursor=CURSOR,
            clock=self.clock,
            changes=self.changes,
            retries=Backoff(base_ms=RETRY_MS, max_wait_ms=RETRY_MS, jitter_ms=0),
        )

    async def write(self, symbols: Sequence[str], status: str = "TRADING") -> None:
        """A sync whose listing has *symbols* in this status; others stay as they are."""
        self._now += 1
        kept = [
            row.content.spec
            for row in await self.registry.rows()
            if row.instrument.symbol not in symbols
        ]
        specs = (*kept, *(perp_spec(symbol, status) for symbol in symbols))
        rows = await self.registry.rows()
        plan = plan_sync(rows, ListingRead(Venue.PERP, specs), now=self._now, accept=True)
        await self.registry.apply(plan.changes)

    async def toggle(self, times: int) -> None:
        """So many changes of one instrument, each by a sync of its own."""
        for number in range(times):
            await self.write(["AUSDT"], ("TRADING", "SETTLING")[number % 2])

    def ids(self) -> list[str]:
        return [event.event_id for event in self.log.events]


@asynccontextmanager
async def running(*relays: RelayLog) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        for relay in relays:
            tasks.start_soon(relay.run)
        await settle()
        yield
        tasks.cancel_scope.cancel()


def names(count: int, prefix: str = "S") -> list[str]:
    return [f"{prefix}{number:05}USDT" for number in range(count)]


async def test_each_change_is_one_event_in_order() -> None:
    rig = Rig()
    await rig.write(["AUSDT", "BUSDT"])
    await rig.write(["BUSDT"], "SETTLING")
    async with running(rig.relay()):
        pass

    assert rig.ids() == ["perp/AUSDT-1", "perp/BUSDT-1", "perp/BUSDT-2"]
    assert [event.kind for event in rig.log.events] == [
        "instruments.listed",
        "instruments.listed",
        "instruments.changed",
    ]
    detail = rig.log.events[-1].detail
    assert detail["difference"] == "status: TRADING -> SETTLING"
    assert (detail["venue"], detail["symbol"], detail["version"]) == ("perp", "BUSDT", 2)


async def test_a_change_is_relayed_at_once_and_that_of_another_instance_soon() -> None:
    rig = Rig()
    async with running(rig.relay()):
        await rig.write(["AUSDT"])
        rig.changes.notify()
        await settle()
        assert rig.ids() == ["perp/AUSDT-1"]

        await rig.write(["BUSDT"])
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert rig.ids() == ["perp/AUSDT-1", "perp/BUSDT-1"]


@pytest.mark.parametrize(
    ("count", "kinds"),
    [
        (SINGLE_LISTINGS_MAX, {"instruments.listed"}),
        (SINGLE_LISTINGS_MAX + 1, {"instruments.listed_together"}),
    ],
)
async def test_many_new_instruments_of_one_sync_are_one_event(count: int, kinds: set[str]) -> None:
    rig = Rig()
    await rig.write(names(count))
    async with running(rig.relay()):
        pass

    assert {event.kind for event in rig.log.events} == kinds
    assert len(rig.log.events) == (count if count == SINGLE_LISTINGS_MAX else 1)
    if count > SINGLE_LISTINGS_MAX:
        [event] = rig.log.events
        assert event.event_id == "perp-listed-1"
        assert event.detail["examples"] == ",".join(names(5))


@pytest.mark.parametrize("before", [0, 7, PAGE - SINGLE_LISTINGS_MAX // 2])
async def test_many_that_pages_divide_are_one_event(before: int) -> None:
    """Wherever a page ends among them: never one by one."""
    rig = Rig()
    await rig.toggle(before)
    await rig.write(names(PAGE + SINGLE_LISTINGS_MAX))
    async with running(rig.relay()):
        pass

    listed = [event for event in rig.log.events if event.kind != "instruments.changed"]
    alone = 1 if before else 0  # the first of `toggle`
    assert len({event.event_id for event in listed}) == 1 + alone
    assert [event.kind for event in listed].count("instruments.listed") == alone


@pytest.mark.parametrize("step", [1, ARANGO_STEP])
async def test_after_a_start_the_last_changes_are_written_again(step: int) -> None:
    """A Redis that failed over may have lost them; positions may have gaps."""
    rig = Rig(step)
    await rig.toggle(3 * OVERLAP)
    async with running(rig.relay()):
        pass
    first = rig.ids()
    assert len(first) == 3 * OVERLAP
    assert rig.log.fail_over(kept=2 * OVERLAP) == OVERLAP

    async with running(rig.relay()):
        pass

    assert set(rig.ids()) == set(first)
    assert len(rig.ids()) < 5 * OVERLAP, "not the whole log again"


async def test_repeats_of_many_listed_together_have_the_id_of_the_first() -> None:
    """A start whose overlap begins among them makes no new event."""
    rig = Rig()
    await rig.write(names(PAGE))
    await rig.toggle(OVERLAP - SINGLE_LISTINGS_MAX // 2)
    async with running(rig.relay()):
        pass
    first = set(rig.ids())

    async with running(rig.relay()):
        pass

    assert set(rig.ids()) == first
    assert len(rig.ids()) > len(first)


@pytest.mark.parametrize(
    "refusal", [PublisherUnavailableError("no node"), ConfigurationError("NOPERM")]
)
async def test_redis_that_is_away_delays_events_and_loses_none(
    refusal: PublisherUnavailableError | ConfigurationError,
) -> None:
    rig = Rig()
    await rig.write(["AUSDT"])
    rig.log.refusal = refusal
    relay = rig.relay()
    async with running(relay):
        assert relay.last_error == str(refusal)
        await rig.write(["BUSDT"])
        rig.log.refusal = None
        await rig.clock.advance(RETRY_MS)

        assert rig.log.refused
        assert rig.ids() == ["perp/AUSDT-1", "perp/BUSDT-1"]
        assert relay.last_error == ""


async def test_an_event_whose_reply_was_lost_is_repeated_under_its_id() -> None:
    rig = Rig()
    await rig.write(["AUSDT"])
    rig.log.replies_to_lose = 1
    async with running(rig.relay()):
        await rig.clock.advance(RETRY_MS)

    assert rig.log.lost == 1
    assert rig.ids() == ["perp/AUSDT-1"] * 2


async def test_a_store_that_is_away_delays_events() -> None:
    rig = Rig()
    await rig.write(["AUSDT"])
    rig.registry.unavailable = "connection refused"
    relay = rig.relay()
    async with running(relay):
        assert (relay.last_error, rig.ids()) == ("connection refused", [])
        rig.registry.unavailable = ""
        await rig.clock.advance(RETRY_MS)

        assert rig.ids() == ["perp/AUSDT-1"]


async def test_one_instance_relays_and_another_goes_on_when_it_is_gone() -> None:
    rig = Rig()
    await rig.write(["AUSDT"])
    first, gone = rig.relay("first"), anyio.CancelScope()

    async def run_until_gone() -> None:
        with gone:
            await first.run()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_until_gone)
        await settle()
        async with running(rig.relay("other")):
            await rig.write(["BUSDT"])
            await rig.clock.advance(POLL_INTERVAL_MS)
            assert rig.ids() == ["perp/AUSDT-1", "perp/BUSDT-1"], "each once"
            gone.cancel()
            await rig.write(["CUSDT"])
            await rig.clock.advance(LEASE_MS + POLL_INTERVAL_MS)

    assert set(rig.ids()) == {"perp/AUSDT-1", "perp/BUSDT-1", "perp/CUSDT-1"}
    assert first.relayed == 2


async def test_an_instance_that_lost_its_lease_writes_nothing() -> None:
    rig = Rig()
    await rig.write(["AUSDT"])
    relay = rig.relay("first")
    await relay.advance()
    assert rig.ids() == ["perp/AUSDT-1"]

    await rig.leases.release("instruments.relay", "first")
    assert await rig.leases.acquire("instruments.relay", "other", LEASE_MS)
    await rig.write(["BUSDT"])
    await rig.clock.advance(RENEW_INTERVAL_MS)

    assert not await relay.advance()
    assert rig.ids() == ["perp/AUSDT-1"]


def test_a_long_difference_is_cut() -> None:
    """The registry has it whole."""
    assert difference_text([("min_qty", "", "5")]) == "min_qty: - -> 5"
    text = difference_text([("filters", "x" * DIFFERENCE_MAX, "y")])
    assert len(text) == DIFFERENCE_MAX + 3
    assert text.endswith("x...")
