"""How often the histories and the claims are read, however many transfers are unresolved.

Requests, rounds and look-ups are counted on virtual time; no duration of this machine matters.
"""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

import anyio
import pytest
from msgspec.structs import replace

from chimera_s1.adapters.binance.treasury.paged_history import (
    HistoryPage,
    HistoryRow,
    read_movements,
)
from chimera_s1.adapters.binance.treasury.wallet_requests import PAGE_ROWS
from chimera_s1.domain.ledger.commit import Commit, LedgerEntry
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import AppendResult
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.event_records import MOVEMENT_STREAM_PREFIX
from chimera_s1.domain.treasury.events import (
    FailureReason,
    ForeignMovementObserved,
    MovementClaimed,
    TransferCompleted,
    TransferDisputed,
    TransferFailed,
)
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow, Movement
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.treasury_gateway import ScriptedResponse, ScriptedTreasuryGateway
from tests.faulty_ports import AlwaysGrantedLeases
from tests.treasury_harness import (
    LIMITS,
    TO_FUT,
    TO_SPOT,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
    untyped,
)
from tests.virtual_time import on_virtual_time

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
ROUND_MS = 10 * SECOND_MS
INCOME_WEIGHT = 30
WEIGHT_A_MINUTE = 2_400
"""Of one address at the futures host; the wallet's history, at another host, has weight 1."""

LOST_REPLY = ScriptedResponse(executes=True, reply=ReplyUnknown("reset"))
LOST = ScriptedResponse(reply=ReplyUnknown("reset"))


class CountingGateway(ScriptedTreasuryGateway):
    """Reads the histories in pages, as the real adapter does.

    Attributes:
        history_reads: When each read of the wallet's history began, ms, by direction.
        income_reads: When each read of the futures income began, ms.
        history_pages: Requests for a page.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.history_reads: dict[Direction, list[float]] = {TO_FUT: [], TO_SPOT: []}
        self.income_reads: list[float] = []
        self.history_pages = 0
        self._now_ms = clock.monotonic_ms

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        self.history_reads[direction].append(self._now_ms())

        async def page(part: ExecutionWindow, number: int) -> HistoryPage:
            self.history_pages += 1
            rows = await ScriptedTreasuryGateway.read_movements(self, direction, part)
            start = (number - 1) * PAGE_ROWS
            shown = (HistoryRow(row.tran_id, row) for row in rows[start : start + PAGE_ROWS])
            return HistoryPage(len(rows), tuple(shown))

        return await read_movements(page, window)

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        self.income_reads.append(self._now_ms())
        return await super().read_income(window)


class CountingStore(FaultyEventStore):
    """`movements_read` counts the look-ups of each movement, by its number."""

    def __init__(self) -> None:
        super().__init__("treasury")
        self.movements_read: Counter[str] = Counter()

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        if stream.startswith(MOVEMENT_STREAM_PREFIX):
            self.movements_read[stream.removeprefix(MOVEMENT_STREAM_PREFIX)] += 1
        return await super().read_stream(stream)


class CountedHarness(TreasuryHarness):
    def __init__(self) -> None:
        super().__init__()
        self.store: CountingStore = CountingStore()
        self.gateway: CountingGateway = CountingGateway(self.clock)
        self.switches.limits = replace(LIMITS, daily_cap=Decimal(1_000_000))

    async def accept(self, one: TreasuryInstance, count: int, *, first: int = 1) -> None:
        """Request *count* transfers, each with an amount of its own, both ways in turn."""
        for number in range(first, first + count):
            direction = TO_FUT if number % 2 else TO_SPOT
            await one.requests.accept(transfer_request(f"t{number}", number, direction), "tester")

    async def wait_until_sent(self, count: int) -> None:
        """Until *count* requests were sent and their outcome is recorded."""
        with anyio.fail_after(MINUTE_MS / 1_000):
            await self.gateway.wait_until_sent(count)
            await self.clock.sleep_ms(SECOND_MS)


def gaps_ms(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("count", [20, 200])
@on_virtual_time
async def test_all_lost_replies_are_settled_by_one_round(count: int) -> None:
    """The evidence appears a minute after the movements; two rounds later all are settled."""
    world = CountedHarness()
    gateway, store = world.gateway, world.store
    gateway.history_lag_ms = gateway.income_lag_ms = MINUTE_MS
    gateway.script += [LOST_REPLY] * count
    async with running(TreasuryInstance(world)) as one:
        await world.accept(one, count)
        await world.wait_until_sent(count)
        moved_ms = world.clock.monotonic_ms()
        assert len(one.ledger.open_transfers.unresolved) == count
        await world.clock.sleep_ms(MINUTE_MS + 2 * ROUND_MS)
        assert not one.ledger.open_transfers.unresolved

        rounds = gateway.history_reads
        assert min(gaps_ms(rounds[TO_FUT])) >= ROUND_MS
        assert len(rounds[TO_FUT]) == len(rounds[TO_SPOT])
        assert len(rounds[TO_SPOT]) <= (MINUTE_MS + 3 * ROUND_MS) / ROUND_MS
        pages_of_a_read = -(-count // 2 // PAGE_ROWS)
        assert gateway.history_pages <= 2 * 2 * pages_of_a_read * len(rounds[TO_SPOT])
        assert not gateway.income_reads, "the movements were found"
        await world.clock.sleep_ms(5 * MINUTE_MS)
        assert max(rounds[TO_SPOT]) <= moved_ms + MINUTE_MS + 3 * ROUND_MS, "then all is quiet"

    assert await world.count(TransferCompleted) == await world.count(MovementClaimed) == count
    assert store.movements_read.keys() == gateway.orders_by_tran_id.keys()
    assert max(store.movements_read.values()) <= 3, "to match, to decide, and for its version"
    assert not await world.violations()


@on_virtual_time
async def test_movements_that_fit_no_transfer_are_looked_up_once_at_most() -> None:
    """A history full of movements that others made, and of our own that have long been claimed."""
    world = CountedHarness()
    gateway, store = world.gateway, world.store
    gateway.script += [ScriptedResponse(executes=True)] * 60
    async with running(TreasuryInstance(world)) as one:
        await world.accept(one, 60)
        await world.wait_until_sent(60)
        foreign = [gateway.add_movement(TO_FUT, Decimal(500 + n)) for n in range(40)]
        before = store.movements_read.copy()
        gateway.script.append(LOST)
        await one.requests.accept(transfer_request("lost", 999), "tester")
        await world.clock.sleep_ms(10 * MINUTE_MS)
        assert len(gateway.history_reads[TO_FUT]) > 50

    looked_up = store.movements_read - before
    assert looked_up == {each.tran_id: 1 for each in foreign}
    assert await world.count(ForeignMovementObserved) == len(foreign)
    assert not await world.violations()


@on_virtual_time
async def test_the_income_is_read_once_a_round_and_only_to_conclude_absence() -> None:
    world = CountedHarness()
    gateway = world.gateway
    count = 30
    gateway.script += [LOST] * count
    async with running(TreasuryInstance(world)) as one:
        await world.accept(one, count)
        await world.wait_until_sent(count)
        await world.clock.sleep_ms(world.timing.history_lag_ms)
        assert not gateway.income_reads
        await world.clock.sleep_ms(world.timing.execution_ms + 7 * MINUTE_MS)
        failed = [each for each in await world.events() if isinstance(each, TransferFailed)]

    assert [each.kind for each in failed] == [FailureReason.ABSENT] * count
    assert min(gaps_ms(gateway.income_reads)) >= ROUND_MS
    assert set(gateway.income_reads) <= set(gateway.history_reads[TO_FUT])
    assert MINUTE_MS / ROUND_MS * INCOME_WEIGHT < WEIGHT_A_MINUTE / 10
    assert len(gateway.income_reads) <= world.timing.clean_spread_ms / ROUND_MS + 10
    assert not await world.violations()


@on_virtual_time
async def test_two_instances_share_the_rounds() -> None:
    """The lease decides which of them reads."""
    world = CountedHarness()
    gateway = world.gateway
    gateway.history_lag_ms = MINUTE_MS
    gateway.script += [LOST_REPLY] * 40
    async with running(TreasuryInstance(world)) as one, running(TreasuryInstance(world)) as two:
        await world.accept(one, 20)
        await world.accept(two, 20, first=21)
        await world.wait_until_sent(40)
        await world.clock.sleep_ms(MINUTE_MS + 2 * ROUND_MS)
        assert not one.ledger.open_transfers.unresolved
        assert not two.ledger.open_transfers.unresolved

    assert min(gaps_ms(gateway.history_reads[TO_SPOT])) >= ROUND_MS
    assert await world.count(TransferCompleted) == await world.count(MovementClaimed) == 40
    assert not await world.violations()


@on_virtual_time
async def test_two_instances_that_both_hold_the_lease_claim_each_movement_once() -> None:
    """The second to match a movement finds it claimed, and disputes nothing."""
    world = CountedHarness()
    gateway = world.gateway
    gateway.history_lag_ms = MINUTE_MS
    gateway.script += [LOST_REPLY] * 40
    leases = AlwaysGrantedLeases()
    one, two = (TreasuryInstance(world, leases=untyped(leases)) for _ in range(2))
    async with running(one), running(two):
        await world.accept(one, 40)
        await world.wait_until_sent(40)
        await world.clock.sleep_ms(MINUTE_MS + 3 * ROUND_MS)

    assert min(gaps_ms(gateway.history_reads[TO_SPOT])) < ROUND_MS, "both read"
    assert len(leases.holders) == 2
    assert await world.count(TransferCompleted) == await world.count(MovementClaimed) == 40
    assert await world.count(TransferDisputed) == 0
    assert not await world.violations()


@on_virtual_time
async def test_a_nearer_movement_of_another_transfer_does_not_hide_the_own_one() -> None:
    """The first transfer has claimed its movement; that of the second is executed 5 s late."""
    world = CountedHarness()
    world.gateway.script += [
        ScriptedResponse(executes=True),
        ScriptedResponse(executes=True, after_ms=5 * SECOND_MS, reply=ReplyUnknown("reset")),
    ]
    async with running(TreasuryInstance(world)) as one:
        for name in ("t1", "t2"):
            await one.requests.accept(transfer_request(name), "tester")
        await world.clock.sleep_ms(MINUTE_MS)
        first, second = [(await one.transfer(name)).tran_id for name in ("t1", "t2")]

    assert [first, second] == [each.tran_id for each in world.gateway.movements_made]
    assert not await world.violations()


class ExpiringLeases(AlwaysGrantedLeases):
    """Every lease is refused once `expired` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.expired = False

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        return not self.expired and await super().acquire(name, owner, duration_ms)


class SlowAppends(CountingStore):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.append_ms = 0.0
        self._clock = clock

    async def append(self, commit: Commit) -> AppendResult:
        await self._clock.sleep_ms(self.append_ms)
        return await super().append(commit)


@on_virtual_time
async def test_a_round_ends_where_the_lease_is_lost() -> None:
    """Its results take longer to record than the lease lasts."""
    world = CountedHarness()
    world.store = store = SlowAppends(world.clock)
    world.gateway.history_lag_ms = MINUTE_MS
    world.gateway.script += [LOST_REPLY] * 40
    leases = ExpiringLeases()
    async with running(TreasuryInstance(world, leases=untyped(leases))) as one:
        await world.accept(one, 40)
        await world.wait_until_sent(40)
        store.append_ms = SECOND_MS
        await world.clock.sleep_ms(MINUTE_MS + 2 * ROUND_MS)
        leases.expired = True
        await world.clock.sleep_ms(5 * MINUTE_MS)
        settled = await world.count(TransferCompleted)

    assert 0 < settled < 40, "what the lease allowed"
    assert not await world.violations()


@on_virtual_time
async def test_a_round_that_could_not_be_recorded_is_repeated() -> None:
    """The append of its first result is uncertain."""
    world = CountedHarness()
    world.gateway.script += [LOST_REPLY] * 10
    async with running(TreasuryInstance(world)) as one:
        await world.accept(one, 10)
        await world.wait_until_sent(10)
        world.store.replies_to_lose = 1
        await world.clock.sleep_ms(3 * ROUND_MS)
        assert not one.ledger.open_transfers.unresolved

    assert not world.store.replies_to_lose
    assert len(world.gateway.history_reads[TO_SPOT]) == 2
    assert await world.count(TransferCompleted) == await world.count(MovementClaimed) == 10
    assert not await world.violations()
