"""Two ledgers of different domains share the cursor store and `ops:events`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.app.capabilities.ledger.engine import LedgerEngine
from chimera_s1.app.capabilities.ledger.operations_sink import OperationsSink
from chimera_s1.app.capabilities.ledger.projector import LedgerProjector
from chimera_s1.app.capabilities.ledger.relay import LedgerRelay
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.operations.backoff import Backoff
from tests.faulty_ports import LossyOperationsLog
from tests.treasury_invariants import read_all
from tests.unit.app.capabilities.ledger.small_ledgers import Counter, Names, StreamRows
from tests.virtual_time import LoopClock, on_virtual_time

MINUTE_MS = 60_000


class Stores:
    """What outlives a process."""

    def __init__(self) -> None:
        self.counter = MemoryEventStore("counter")
        self.names = MemoryEventStore("names")
        self.cursors = MemoryCursorStore()
        self.operations = LossyOperationsLog()
        self.counter_rows = StreamRows()
        self.names_rows = StreamRows()

    async def event_ids(self, store: MemoryEventStore) -> list[str]:
        entries = await read_all(store)
        return [record.id for entry in entries for record in entry.commit.events]

    def relayed_ids(self, ledger: str) -> list[str]:
        """Each once, in the order of their first entry."""
        events = [e for e in self.operations.events if e.detail["ledger"] == ledger]
        return list(dict.fromkeys(event.event_id for event in events))


class Process:
    """Both ledgers with their relays and projectors."""

    def __init__(self, stores: Stores) -> None:
        self.clock = LoopClock()
        self.stores = stores
        self.counter = Counter(stores.counter, stores.cursors)
        self.names = Names(stores.names, stores.cursors)
        self.relays = [
            self._relay(stores.counter, self.counter.engine, "ops:events/counter"),
            self._relay(stores.names, self.names.engine, "ops:events/names"),
        ]
        self.projectors = [
            self._projector(stores.counter, stores.counter_rows, self.counter.engine, "counts"),
            self._projector(stores.names, stores.names_rows, self.names.engine, "names"),
        ]

    def _relay(self, store: MemoryEventStore, engine: LedgerEngine, cursor: str) -> LedgerRelay:
        return LedgerRelay(
            store,
            self.stores.cursors,
            OperationsSink(self.stores.operations),
            engine,
            cursor_name=cursor,
            clock=self.clock,
            retries=Backoff(base_ms=500, max_wait_ms=5_000, jitter_ms=0),
        )

    def _projector(
        self, store: MemoryEventStore, rows: StreamRows, engine: LedgerEngine, cursor: str
    ) -> LedgerProjector:
        return LedgerProjector(
            store, rows, self.stores.cursors, engine.changes, cursor_name=cursor, clock=self.clock
        )


@asynccontextmanager
async def running(stores: Stores) -> AsyncIterator[Process]:
    process = Process(stores)
    async with anyio.create_task_group() as tasks:
        for relay in process.relays:
            tasks.start_soon(relay.run)
        for projector in process.projectors:
            tasks.start_soon(projector.run)
        yield process
        tasks.cancel_scope.cancel()


async def assert_complete(stores: Stores) -> None:
    assert stores.relayed_ids("counter") == await stores.event_ids(stores.counter)
    assert stores.relayed_ids("names") == await stores.event_ids(stores.names)


@on_virtual_time
async def test_two_ledgers_are_relayed_and_projected_side_by_side() -> None:
    stores = Stores()
    async with running(stores) as process:
        for number in range(10):
            assert await process.counter.add(2)
            assert await process.names.register(f"n{number}")
        assert await process.counter.add(3)
        assert not await process.names.register("n1")
        await process.clock.sleep_ms(MINUTE_MS)

    await assert_complete(stores)
    assert process.counter.total == 23
    assert process.names.names == [f"n{number}" for number in range(10)]
    assert stores.counter_rows.rows == {"counter/main": 11}
    assert stores.names_rows.rows == {f"name/n{number}": 1 for number in range(10)}
    assert await stores.cursors.read("ops:events/counter") == 11
    assert await stores.cursors.read("ops:events/names") == 10
    assert {e.detail["seq"] for e in stores.operations.events} == set(range(1, 12))
    assert all(e.detail["position"] == e.detail["seq"] for e in stores.operations.events)


@on_virtual_time
async def test_restart_repeats_the_last_minute_of_each_ledger_and_no_more() -> None:
    """Each relay has a safe cursor of its own."""
    stores = Stores()
    async with running(stores) as process:
        assert await process.counter.add(1)
        await process.clock.sleep_ms(3 * MINUTE_MS)
        assert await process.names.register("late")
        await process.clock.sleep_ms(1_000)
    before = len(stores.operations.events)
    async with running(stores) as process:
        await process.clock.sleep_ms(MINUTE_MS)

    repeated = [event.detail["ledger"] for event in stores.operations.events[before:]]
    assert repeated == ["names"]
    await assert_complete(stores)


@on_virtual_time
async def test_failover_of_the_shared_stream_repeats_the_lost_events_of_both() -> None:
    stores = Stores()
    async with running(stores) as process:
        assert await process.counter.add(1)
        assert await process.names.register("a")
        await process.clock.sleep_ms(10_000)
        lost = stores.operations.fail_over(0)
        await process.clock.sleep_ms(MINUTE_MS)

    assert lost == 2
    await assert_complete(stores)


@on_virtual_time
async def test_missing_commits_damage_their_own_ledger_only() -> None:
    stores = Stores()
    async with running(stores) as process:
        for number in range(3):
            assert await process.counter.add(1)
            assert await process.names.register(f"n{number}")
        await process.clock.sleep_ms(10_000)
    del stores.counter.contents.documents_by_seq[3]

    async with running(stores) as process:
        with pytest.raises(LedgerDamagedError, match="commits are missing"):
            await process.counter.add(1)
        assert await process.names.register("n3")

    assert process.counter.engine.damage
    assert not process.names.engine.damage


@on_virtual_time
async def test_rebuild_clears_and_projects_one_ledger_only() -> None:
    stores = Stores()
    async with running(stores) as process:
        assert await process.counter.add(1)
        assert await process.names.register("a")
        await process.clock.sleep_ms(10_000)
    stores.counter_rows.rows["counter/main"] = 99
    stores.names_rows.rows["name/a"] = 99

    counts, _ = Process(stores).projectors
    await counts.rebuild()
    while await counts.advance():
        pass

    assert stores.counter_rows.rows == {"counter/main": 1}
    assert stores.names_rows.rows == {"name/a": 99}
