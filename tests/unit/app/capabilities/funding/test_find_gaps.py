"""When gaps are searched again, and when they are not known."""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint

from chimera_s1.app.capabilities.funding.find_gaps import FRESH_MS, VALID_MS, FindGaps
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.funding.coverage import FundingGap, GapKind, RateCoverage
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol
from tests.fakes.funding_store import FakeFundingStore
from tests.fakes.manual_clock import ManualClock

HOUR_MS = 3_600_000
MIDNIGHT = 1_793_923_200_000
BTC, OLD = Symbol("BTCUSDT"), Symbol("OLDUSDT")


class CountingStore(FakeFundingStore):
    """Counts the searches, each of which reads the disputes once."""

    def __init__(self) -> None:
        super().__init__()
        self.searches = 0
        self.on_search: Callable[[], Awaitable[None]] = checkpoint

    async def disputes(
        self, *, symbol: Symbol | None = None, limit: int = 1_000
    ) -> tuple[FundingDispute, ...]:
        self.searches += 1
        await self.on_search()
        return await super().disputes(symbol=symbol, limit=limit)


class Found:
    """`FindGaps` over a contract that settles every 8 h."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self.clock = ManualClock(MIDNIGHT + 25 * HOUR_MS)
        self.contracts: Mapping[Symbol, ContractFacts] = {BTC: ContractFacts(interval_h=8)}
        self.exchange_known = True
        self.find_gaps = FindGaps(
            self.store,
            contracts=lambda: self.contracts,
            exchange_ms=self._exchange_ms,
            history_days=1,
            clock=self.clock,
        )
        self.store_hours(BTC, *range(-24, 25, 8))

    def _exchange_ms(self) -> int:
        if not self.exchange_known:
            raise ClockUncertainError("the clock of perp is not measured yet")
        return self.clock.now_ms()

    def store_hours(self, symbol: Symbol, *hours: int) -> None:
        for hour in hours:
            key = SettlementKey(MIDNIGHT + hour * HOUR_MS, symbol, REGULAR)
            self.store.records[key] = FundingRecord(
                key=key,
                rate=Decimal("0.0001"),
                mark_price=None,
                content_hash="",
                first_seen_at=key.funding_time,
            )

    async def verify(self, symbol: Symbol, through_hour: int) -> None:
        span = RateCoverage(
            symbol=symbol,
            verified_from=MIDNIGHT - 24 * HOUR_MS,
            verified_through=MIDNIGHT + through_hour * HOUR_MS,
        )
        await self.store.extend_coverage([span])


async def test_more_records_than_a_page_are_searched() -> None:
    """Every 8 h in 1000 contracts, one of which lacks the settlement at 08:00."""
    world = Found()
    symbols = [Symbol(f"X{number}USDT") for number in range(1_000)]
    for symbol in symbols:
        world.store_hours(symbol, *range(-24, 25, 8))
        await world.verify(symbol, 24)
    missing = MIDNIGHT + 8 * HOUR_MS
    del world.store.records[SettlementKey(missing, symbols[500], REGULAR)]
    await world.verify(BTC, 24)

    found = await world.find_gaps.find()

    assert found.gaps == (
        FundingGap(symbol=symbols[500], kind=GapKind.NOT_PUBLISHED, start=missing, end=missing),
    )
    assert found.contracts == 1_001


async def test_verified_through_is_that_of_the_slowest_contract_that_trades() -> None:
    world = Found()
    world.contracts = {BTC: ContractFacts(), OLD: ContractFacts(expects_until=MIDNIGHT)}
    await world.verify(BTC, 24)
    await world.verify(OLD, -8)

    assert (await world.find_gaps.find()).verified_through == MIDNIGHT + 24 * HOUR_MS
    assert (await world.find_gaps.find(OLD)).verified_through == MIDNIGHT - 8 * HOUR_MS


async def test_without_the_exchanges_time_gaps_are_not_known() -> None:
    world = Found()
    world.exchange_known = False

    with pytest.raises(ClockUncertainError):
        await world.find_gaps.find()


async def test_a_search_is_used_again_until_more_is_verified_or_a_minute_has_passed() -> None:
    world = Found()
    await world.verify(BTC, 16)
    first = await world.find_gaps.find()
    await world.clock.advance(VALID_MS - 1)
    assert await world.find_gaps.find() is first
    await world.verify(BTC, 24)

    second = await world.find_gaps.find()

    assert (second.verified_through, world.store.searches) == (MIDNIGHT + 24 * HOUR_MS, 2)
    await world.clock.advance(VALID_MS)
    await world.find_gaps.find()
    assert world.store.searches == 3


async def test_what_is_verified_meanwhile_does_not_start_a_search_each_time() -> None:
    """During a backfill coverage changes with every page."""
    world = Found()
    await world.verify(BTC, 8)
    await world.find_gaps.find()
    await world.clock.advance(FRESH_MS - 1)
    await world.verify(BTC, 16)
    await world.find_gaps.find()

    assert world.store.searches == 1


async def test_a_long_search_is_not_repeated_for_ten_times_as_long() -> None:
    world = Found()
    took_ms = VALID_MS
    world.store.on_search = partial(world.clock.advance, took_ms)
    await world.find_gaps.find()
    await world.clock.advance(10 * took_ms - 1)
    await world.find_gaps.find()
    assert world.store.searches == 1

    await world.clock.advance(1)
    await world.find_gaps.find()

    assert world.store.searches == 2


async def test_callers_at_the_same_time_share_a_search() -> None:
    world = Found()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(world.find_gaps.find)

    assert world.store.searches == 1


async def test_one_contract_is_searched_each_time() -> None:
    world = Found()
    await world.find_gaps.find(BTC)
    await world.find_gaps.find(BTC)

    assert world.store.searches == 2
