"""Brackets, funding, sessions, execution rules and schedules of the simulated exchange."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import anyio
import pytest

from chimera_s1.adapters.simulator.config import SimulatorConfig
from tests.contract.signed_client import Account, trader
from tests.simulator_client import SimulatorClient

HOUR_MS = 3_600_000
MONDAY_MS = 1_796_601_600_000  # 2026-12-07 00:00 UTC
BRACKETS, SCHEDULE = "/fapi/v1/leverageBracket", "/fapi/v1/tradingSchedule"
DELISTINGS, OPENINGS = "/sapi/v1/spot/delist-schedule", "/sapi/v1/spot/open-symbol-list"


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with anyio.create_task_group() as tasks:
        async with trader(tasks, SimulatorConfig(symbols=20, rate=0.001)) as account:
            yield account
        tasks.cancel_scope.cancel()


@pytest.fixture
def sim(account: Account) -> SimulatorClient:
    return account.sim


async def set_time(account: Account, now_ms: int) -> None:
    await account.move_clock(now_ms - (account.now_ms - account.offset_ms))


async def test_brackets_are_an_array_or_an_object(account: Account, sim: SimulatorClient) -> None:
    """Numbers, signed; the coefficient of the account is there only once it is adjusted."""
    _, every = await account.get(BRACKETS)
    _, one = await account.get(BRACKETS, symbol="ETHUSDT")
    await account.set(notional_coef=1.5)
    _, adjusted = await account.get(BRACKETS, symbol="ETHUSDT")
    unknown = await account.get(BRACKETS, symbol="NOPE")
    status, refused, _ = await sim.rest("perp", BRACKETS)

    assert one in every
    assert list(one) == ["symbol", "brackets"]
    assert one["brackets"][0] == {
        "bracket": 1,
        "initialLeverage": 75,
        "notionalCap": 50_000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.0067,
        "cum": 0.0,
    }
    assert adjusted == {"symbol": "ETHUSDT", "notionalCoef": 1.5, "brackets": one["brackets"]}
    assert (unknown[0], unknown[1]["code"]) == (400, -1121)
    assert (status, refused["code"]) == (401, -2014)


async def test_the_maintenance_margin_has_no_steps(account: Account) -> None:
    """At each border both brackets ask for the same: that is what `cum` is for."""
    _, one = await account.get(BRACKETS, symbol="BTCUSDT")
    for lower, upper in pairwise(one["brackets"]):
        at = lower["notionalCap"]
        margins = [at * row["maintMarginRatio"] - row["cum"] for row in (lower, upper)]
        assert upper["notionalFloor"] == at
        assert margins[0] == pytest.approx(margins[1])


async def test_a_key_without_futures_cannot_read_brackets(account: Account) -> None:
    """The restrictions of the key say so; other permissions are not touched."""
    await account.set(permissions={"futures": False, "ip_restrict": True})
    status, refused = await account.get(BRACKETS)
    _, restrictions = await account.get("/sapi/v1/account/apiRestrictions")

    assert (status, refused["code"]) == (401, -2015)
    assert restrictions == {
        "ipRestrict": True,
        "createTime": 1_735_689_600_000,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": True,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": True,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": True,
        "enablePortfolioMarginTrading": False,
    }


async def test_funding_info_has_nearly_all_perpetuals(sim: SimulatorClient) -> None:
    """Free of weight; COIN-M rows too, no dated contracts, and an interval that may change."""
    await sim.change_symbol("perp", "XRPUSDT", funding_hours=1)
    _, rows, headers = await sim.rest("perp", "/fapi/v1/fundingInfo")
    by_symbol = {row["symbol"]: row for row in rows}
    _, premium, _ = await sim.rest("perp", "/fapi/v1/premiumIndex?symbol=XRPUSDT")

    assert headers["X-MBX-USED-WEIGHT-1M"] == "0"
    assert list(by_symbol["XRPUSDT"]) == [
        "symbol",
        "adjustedFundingRateCap",
        "adjustedFundingRateFloor",
        "fundingIntervalHours",
        "disclaimer",
        "updateTime",
    ]
    assert by_symbol["XRPUSDT"]["fundingIntervalHours"] == 1
    assert premium["nextFundingTime"] - premium["time"] <= HOUR_MS
    assert by_symbol["SOLUSDT"]["fundingIntervalHours"] == 4
    assert "BTCUSD_PERP" in by_symbol
    assert "BTCUSDT_261225" not in by_symbol
    assert None in {row["updateTime"] for row in rows}
    assert 20 <= len(rows) < 27


async def test_the_schedule_covers_a_week_without_gaps(
    account: Account, sim: SimulatorClient
) -> None:
    """From the day before; the market is closed on Saturday and Sunday."""
    await set_time(account, MONDAY_MS + HOUR_MS)
    _, schedule, headers = await sim.rest("perp", SCHEDULE)
    markets: dict[str, Any] = schedule["marketSchedules"]

    assert headers["X-MBX-USED-WEIGHT-1M"] == "5"
    assert set(markets) == {"EQUITY", "COMMODITY", "KR_EQUITY", "HK_EQUITY", "CN_EQUITY", "FX"}
    for market in markets.values():
        sessions = market["sessions"]
        assert sessions[0]["startTime"] == MONDAY_MS - 24 * HOUR_MS
        assert sessions[-1]["endTime"] == MONDAY_MS + 6 * 24 * HOUR_MS
        assert all(a["endTime"] == b["startTime"] for a, b in pairwise(sessions))
        assert sessions[0]["type"] == sessions[-1]["type"] == "NO_TRADING"
    assert [row["type"] for row in markets["EQUITY"]["sessions"][1:5]] == [
        "OVERNIGHT", "PRE_MARKET", "REGULAR", "AFTER_MARKET",
    ]  # fmt: skip


async def test_a_session_can_be_fixed(account: Account, sim: SimulatorClient) -> None:
    """In the schedule and in the stream, until it is given back."""
    await set_time(account, MONDAY_MS + HOUR_MS)
    body = {"underlying_type": "EQUITY", "session": "NO_TRADING"}
    async with sim.connect("perp", "/market/ws/tradingSession") as wire:
        first = {row["e"]: row for row in [await wire.receive_message() for _ in range(2)]}
        await sim.control("POST", "/sim/trading-hours", body)
        _, closed, _ = await sim.rest("perp", SCHEDULE)
        while (event := await wire.receive_message())["S"] != "NO_TRADING":
            pass
    _, given_back = await sim.control("POST", "/sim/trading-hours", {**body, "session": None})

    assert list(first["EquityUpdate"]) == ["e", "E", "t", "T", "S"]
    assert (first["EquityUpdate"]["S"], first["CommodityUpdate"]["S"]) == ("OVERNIGHT", "REGULAR")
    assert event["e"] == "EquityUpdate"
    kinds = {row["type"] for row in closed["marketSchedules"]["EQUITY"]["sessions"]}
    assert kinds == {"NO_TRADING"}
    assert given_back == {"fixed": {}}


async def test_a_delisting_of_a_spot_symbol_is_scheduled(
    account: Account, sim: SimulatorClient
) -> None:
    """By a key without a signature; times that have passed are not shown."""
    later = account.now_ms + 24 * HOUR_MS
    for symbol, at in (("BTCUSDT", later), ("ETHUSDT", later), ("XRPUSDT", later - HOUR_MS)):
        await sim.change_symbol("spot", symbol, delivery_ms=at)
    await sim.change_symbol("spot", "BNBUSDT", delivery_ms=1_600_000_000_000)
    await sim.list_symbol("spot", "SOONUSDT", status="BREAK", onboard_ms=later)
    _, schedule = await account.send("GET", DELISTINGS)
    weight = account.headers["X-SAPI-USED-IP-WEIGHT-1M"]
    _, openings = await account.send("GET", OPENINGS)
    status, refused, _ = await sim.rest("spot", DELISTINGS)

    assert schedule == [
        {"delistTime": later - HOUR_MS, "symbols": ["XRPUSDT"]},
        {"delistTime": later, "symbols": ["BTCUSDT", "ETHUSDT"]},
    ]
    assert weight == "100"
    assert openings == [{"openTime": later, "symbols": ["SOONUSDT"]}]
    assert (status, refused["code"]) == (401, -2014)


async def test_execution_rules_cost_by_the_number_of_symbols(sim: SimulatorClient) -> None:
    """A symbol without a rule has an empty list."""
    path = "/api/v3/executionRules"
    _, two, first = await sim.rest("spot", path + '?symbols=["BTCUSDT","SIM0001USDT"]')
    _, every, second = await sim.rest("spot", path)
    _, halted, _ = await sim.rest("spot", path + "?symbolStatus=BREAK")
    status, refused, _ = await sim.rest("spot", path + "?symbol=BTCUSDT&symbolStatus=BREAK")

    ranges = [[rule["ruleType"] for rule in row["rules"]] for row in two["symbolRules"]]
    assert ranges == [["PRICE_RANGE"], []]
    assert {row["symbol"] for row in every["symbolRules"]} > {"BTCUSDT", "ETHBTC", "LUNCUSDT"}
    assert [row["symbol"] for row in halted["symbolRules"]] == ["LUNCUSDT"]
    assert (status, refused["code"]) == (400, -1128)
    weights = [int(headers["X-MBX-USED-WEIGHT-1M"]) for headers in (first, second)]
    assert weights == [4, 44]


async def test_filters_of_the_account_are_signed(account: Account) -> None:
    """MAX_ASSET is shown nowhere else."""
    path = "/api/v3/myFilters"
    _, filters = await account.get(path, symbol="BTCUSDT")
    status, refused = await account.get(path)

    assert list(filters) == ["exchangeFilters", "symbolFilters", "assetFilters"]
    assert filters["assetFilters"] == [
        {"filterType": "MAX_ASSET", "asset": "BTC", "limit": "9000.00000000"}
    ]
    assert account.headers["X-MBX-USED-WEIGHT-1M"] == "80"
    assert (status, refused["code"]) == (400, -1102)
