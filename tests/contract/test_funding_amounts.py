"""Rates and amounts of a simulated account, through our adapter, equal what the exchange says."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from chimera_s1.adapters.binance.account_key import ReadAccountKey
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.funding.source import BinanceFundingSource
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.funding.amounts_read import AmountsRead
from chimera_s1.app.capabilities.funding.complete_amounts import CompleteAmounts
from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from tests.contract.signed_client import Account, trader
from tests.fakes.funding_store import FakeFundingStore
from tests.time_limits import TIMEOUT_S

CLOCK = SystemClock()
KEY = Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret))
ACCOUNT = "simulator:354937868"
INCOME = "/fapi/v1/income"
DAYS = 8
LAG_MS = 30_000
"""What is older is published."""

Sums: TypeAlias = defaultdict[tuple[str, str], Decimal]


class Rig(Struct):
    """Attributes:
    account: A signed client of its own, and the control plane.
    """

    account: Account
    store: FakeFundingStore
    rates: CompleteRates
    amounts: CompleteAmounts
    disputes: list[FundingDispute]
    now_ms: int

    @property
    def start_ms(self) -> int:
        return self.now_ms - DAYS * DAY_MS

    async def hold(self, symbol: str, **position: str) -> None:
        """A position since before the window."""
        body = {"symbol": symbol, "since_ms": self.start_ms - DAY_MS, **position}
        status, reply = await self.account.sim.control("POST", "/sim/funding/positions", body)
        assert status == 201, reply

    async def complete(self) -> AmountsRead:
        await self.rates.complete(self.start_ms, self.now_ms)
        return await self.amounts.complete(self.start_ms, self.now_ms)

    async def published_sums(self) -> Sums:
        """By contract and asset, read day by day without our adapter."""
        sums: Sums = defaultdict(Decimal)
        for day in range(DAYS):
            start = self.start_ms + day * DAY_MS
            end = start + DAY_MS - 1
            _, rows = await self.account.get(INCOME, startTime=start, endTime=end, limit=1000)
            assert len(rows) < 1000
            for row in rows:
                sums[row["symbol"], row["asset"]] += Decimal(row["income"])
        return sums

    def stored_sums(self) -> Sums:
        sums: Sums = defaultdict(Decimal)
        for record in self.store.records.values():
            for part in record.amount.parts if record.amount else ():
                sums[record.key.symbol, part.asset] += part.amount
        return sums

    def records(self, symbol: str) -> list[FundingRecord]:
        return [each for each in self.store.records.values() if each.key.symbol == symbol]


@asynccontextmanager
async def rig(tasks: TaskGroup) -> AsyncIterator[Rig]:
    async with trader(tasks, SimulatorConfig(symbols=5, rate=1.0)) as account:
        urls = account.sim.urls
        endpoints = {
            Venue.SPOT: Endpoints(urls["spot_rest_url"], ""),
            Venue.PERP: Endpoints(urls["perp_rest_url"], ""),
        }
        _, clock = await account.sim.control("GET", "/sim/funding")
        now_ms = clock["now_ms"] - LAG_MS
        budgets, store = weight_budgets(CLOCK), FakeFundingStore()
        disputes: list[FundingDispute] = []
        async with HttpClient(endpoints, budgets) as client:
            key = ReadAccountKey(client, lambda: KEY, lambda _: CLOCK.now_ms(), "simulator")
            async with BinanceFundingSource(
                endpoints, budgets, key, RowReader(lambda _: None)
            ) as source:
                rates = CompleteRates(
                    source,
                    store,
                    exchange_ms=lambda: now_ms,
                    contracts=dict,
                    last_estimate=lambda _symbol, _time: "",
                    on_dispute=disputes.append,
                    on_refused=lambda _: None,
                )
                amounts = CompleteAmounts(
                    source,
                    store,
                    exchange_ms=lambda: now_ms,
                    on_dispute=disputes.append,
                    on_refused=lambda _: None,
                )
                with anyio.fail_after(TIMEOUT_S):
                    yield Rig(account, store, rates, amounts, disputes, now_ms)


async def test_stored_amounts_are_those_of_the_exchange(tasks: TaskGroup) -> None:
    """Both sides of hedge mode, another asset at its candle, and one without a market."""
    async with rig(tasks) as at:
        await at.hold("BTCUSDT", long="1", short="0.25")
        await at.hold("ETHUSDT", amount="-10", asset="BNB")
        await at.hold("SOLUSDT", amount="300", asset="BNFCR")
        read = await at.complete()
        sums = await at.published_sums()
    in_bnb = next(each.amount for each in at.records("ETHUSDT") if each.amount)

    assert at.stored_sums() == sums
    assert set(sums) == {("BTCUSDT", "USDT"), ("ETHUSDT", "BNB"), ("SOLUSDT", "BNFCR")}
    assert read.problem == ""
    assert (read.account, read.without_price) == (ACCOUNT, {"BNFCR"})
    assert read.verified_through == at.now_ms - HOUR_MS
    assert all(len(each.amount.parts) == 2 for each in at.records("BTCUSDT") if each.amount)
    assert all(each.amount.amount_usdt for each in at.records("BTCUSDT") if each.amount)
    (conversion,) = in_bnb.conversions
    assert in_bnb.amount_usdt == in_bnb.parts[0].amount * conversion.rate
    assert all(each.amount.amount_usdt is None for each in at.records("SOLUSDT") if each.amount)
    assert not at.disputes


async def test_without_permission_the_rates_are_kept_and_the_problem_is_said(
    tasks: TaskGroup,
) -> None:
    """The key exists; the exchange refuses its income."""
    async with rig(tasks) as at:
        await at.hold("BTCUSDT", amount="1")
        await at.account.set(permissions={"futures": False})
        refused = await at.complete()
        rates = len(at.records("BTCUSDT"))
        await at.account.set(permissions={"futures": True})
        allowed = await at.complete()

    assert rates >= DAYS * 3
    assert "income cannot be read: " in refused.problem
    assert "/fapi/v1/income: replied 401 -2015 Invalid API-key" in refused.problem
    assert refused.verified_through is None
    assert allowed.problem == ""
    assert allowed.written >= DAYS * 3 - 1


async def test_pages_that_are_spoiled_cost_nothing_for_good(tasks: TaskGroup) -> None:
    """Repeated rows count once; of rows that cannot be read, nothing is proven."""
    async with rig(tasks) as at:
        await at.hold("BTCUSDT", amount="1")
        await at.rates.complete(at.start_ms, at.now_ms)
        await at.account.sim.arm(f"GET {INCOME}", "funding:mangled", times=4)
        mangled = await at.amounts.complete(at.start_ms, at.now_ms)
        await at.account.sim.control("DELETE", "/sim/faults")
        await at.account.sim.arm(f"GET {INCOME}", "funding:duplicated", times=4)
        duplicated = await at.amounts.complete(at.start_ms, at.now_ms)
        _, faults = await at.account.sim.control("GET", "/sim/faults")
        sums = await at.published_sums()

    assert "rows that cannot be read" in mangled.problem
    assert mangled.verified_through is None
    assert faults["faults"][0]["fired"] == 4
    assert duplicated.problem == ""
    assert at.stored_sums() == sums
    assert not at.disputes
