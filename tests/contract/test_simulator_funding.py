"""Funding settlements of the simulator: history, pages, mark prices, publication, listings."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import anyio.to_thread
import pytest

from chimera_s1.adapters.simulator.config import SimulatorConfig
from tests.ccxt_clients import point_at_simulator
from tests.contract.signed_client import running_simulator
from tests.simulator_client import SimulatorClient, StreamConnection, simulator_client

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = 1_796_601_600_000  # 2026-12-07 00:00 UTC
NOON_MS = MIDNIGHT_MS + DAY_MS // 2
LONGEST_LAG_MS = 8_020
STANDSTILL = 0.000_001
RATES = "/fapi/v1/fundingRate"


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with running_simulator(SimulatorConfig(whole_market=True, rate=1)) as urls:
        yield urls


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        await stop_clock(client, NOON_MS + LONGEST_LAG_MS)
        yield client
        await client.control("DELETE", "/sim/faults")
        await client.control("DELETE", "/sim/limits")


async def stop_clock(sim: SimulatorClient, at_ms: int) -> None:
    """Stop the exchange's clock at *at_ms*."""
    now_ms = 0
    while not at_ms <= now_ms < at_ms + 1_000:  # a busy machine needs longer between the two
        _, local = await sim.control("POST", "/sim/clock", {"rate": STANDSTILL, "offset_ms": 0})
        change = {"offset_ms": at_ms - local["now_ms"]}
        _, clock = await sim.control("POST", "/sim/clock", change)
        now_ms = clock["now_ms"]


async def rates(sim: SimulatorClient, **parameters: Any) -> list[dict[str, Any]]:
    status, rows = await reply(sim, **parameters)
    assert status == 200, rows
    return list(rows)


async def reply(sim: SimulatorClient, **parameters: Any) -> tuple[int, Any]:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    status, body, _ = await sim.rest("perp", f"{RATES}?{query}")
    return status, body


def key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["symbol"], row["fundingTime"], row["rateType"]


async def every_row(sim: SimulatorClient, start: int, end: int) -> dict[Any, dict[str, Any]]:
    """All rows, read by pages that each begin at the last time of the one before."""
    found: dict[Any, dict[str, Any]] = {}
    while True:
        page = await rates(sim, startTime=start, endTime=end, limit=1000)
        found |= {key(row): row for row in page}
        if len(page) < 1000:
            return found
        assert page[-1]["fundingTime"] > start
        start = page[-1]["fundingTime"]


async def mark_prices(wire: StreamConnection) -> list[list[dict[str, Any]]]:
    """Both messages of one push: TradFi symbols have one of their own."""
    first = await wire.receive_message()
    while len(first) < 300:
        first = await wire.receive_message()
    return [first, await wire.receive_message()]


async def test_pages_have_the_rules_of_binance(sim: SimulatorClient) -> None:
    start, end = NOON_MS - DAY_MS, NOON_MS
    window = {"symbol": "BTCUSDT", "startTime": start, "endTime": end}
    day = await rates(sim, **window)
    times = [row["fundingTime"] for row in day]
    between = await rates(sim, symbol="BTCUSDT", startTime=times[0], endTime=times[1])
    first = await rates(sim, **window, limit=1)
    latest = await rates(sim)
    refused = [
        (await reply(sim, **bad))[1]["code"]
        for bad in (
            {"limit": 1001},
            {"limit": 0},
            {"startTime": end, "endTime": start},
            {"symbol": "NOPEUSDT"},
            {"symbol": "BTCUSD_PERP"},
            {"startTime": "now"},
        )
    ]

    assert list(day[0]) == ["symbol", "fundingRate", "fundingTime", "markPrice", "rateType"]
    assert [each // HOUR_MS * HOUR_MS for each in times] == [
        MIDNIGHT_MS - 8 * HOUR_MS,
        MIDNIGHT_MS,
        MIDNIGHT_MS + 8 * HOUR_MS,
    ]
    assert between == day[:2]
    assert first == day[:1]
    assert len(await rates(sim, startTime=start)) == 100
    assert (len(latest), latest[-1]["fundingTime"] // HOUR_MS) == (200, NOON_MS // HOUR_MS)
    assert len(await rates(sim, limit=1000)) == 1000
    assert refused == [-1130, -1130, -1130, -1121, -1121, -1100]


async def test_every_contract_settles_at_its_interval(sim: SimulatorClient) -> None:
    """1, 2, 4 and 8 hours, some ms off the hour; stocks have Special rows besides."""
    rows = await every_row(sim, NOON_MS - 2 * DAY_MS, NOON_MS + 100)
    by_symbol: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.values():
        by_symbol[row["symbol"]].append(row)
    regular = {
        symbol: [row["fundingTime"] // HOUR_MS for row in found if row["rateType"] == "Regular"]
        for symbol, found in by_symbol.items()
    }
    intervals = {
        symbol: {later - earlier for earlier, later in pairwise(hours)}
        for symbol, hours in regular.items()
    }
    kinds = Counter(row["rateType"] for row in rows.values())
    (dividend,) = [row for row in rows.values() if row["rateType"] == "Special"][:1]
    beside = [row for row in by_symbol[dividend["symbol"]] if row["rateType"] != "Special"]

    assert len(by_symbol) > 700
    assert {frozenset(each) for each in intervals.values()} >= {
        frozenset({hours}) for hours in (1, 2, 4, 8)
    }
    assert {row["fundingTime"] % HOUR_MS for row in rows.values()} == set(range(21))
    assert 0 < kinds["Special"] < 100
    assert dividend["fundingTime"] in {row["fundingTime"] for row in beside}
    assert {"BTCUSD_PERP", "UNLISTEDUSDT", "币安人生USDT"} <= set(by_symbol)
    assert "BTCUSDT_261225" not in by_symbol
    for symbol in ("SOLUSDT", "UNLISTEDUSDT", dividend["symbol"]):
        alone = await rates(
            sim, symbol=symbol, startTime=NOON_MS - 2 * DAY_MS, endTime=NOON_MS + 100
        )
        assert alone == by_symbol[symbol]


async def test_old_rows_have_no_mark_price(sim: SimulatorClient) -> None:
    rows = await rates(sim, symbol="BTCUSDT", startTime=1_640_995_100_000, limit=2)
    before = await rates(sim, symbol="BTCUSDT", endTime=1_640_995_100_000, limit=2)

    assert [row["markPrice"] for row in before] == ["", ""]
    assert all(float(row["markPrice"]) > 60_000 for row in rows)


async def test_a_settlement_is_seen_in_the_stream_first(sim: SimulatorClient) -> None:
    """T moves on at once; the rows come one after the other, some seconds later."""
    due = NOON_MS + 4 * HOUR_MS
    async with sim.connect("perp", "/market/ws/!markPrice@arr@1s") as wire:
        await stop_clock(sim, due - 1_000)
        while (ahead := settles(await mark_prices(wire)))["SOLUSDT"] != due:
            pass
        await stop_clock(sim, due)
        # What was sent while the clock was being moved may be of any time.
        while (moved := settles(await mark_prices(wire)))["SOLUSDT"] != due + 4 * HOUR_MS:
            pass
    at_once = await rates(sim, startTime=due, limit=1000)
    await stop_clock(sim, due + LONGEST_LAG_MS // 2)
    later = await rates(sim, startTime=due, limit=1000)
    await stop_clock(sim, due + LONGEST_LAG_MS)
    at_last = await rates(sim, startTime=due, limit=1000)

    assert {symbol for symbol in ahead if moved[symbol] != ahead[symbol]} == {
        row["symbol"] for row in at_last if row["rateType"] == "Regular"
    }
    assert not at_once
    assert 0 < len(later) < len(at_last)
    assert {key(row) for row in later} < {key(row) for row in at_last}


def settles(messages: list[list[dict[str, Any]]]) -> dict[str, int]:
    return {row["s"]: row["T"] for message in messages for row in message}


async def test_mark_prices_have_rows_of_every_kind(sim: SimulatorClient) -> None:
    async with sim.connect("perp", "/market/ws/!markPrice@arr@1s") as wire:
        others, tradfi = await mark_prices(wire)
    rows = {row["s"]: row for row in others}
    _, listing, _ = await sim.rest("perp", "/fapi/v1/exchangeInfo")
    _, premium, _ = await sim.rest("perp", "/fapi/v1/premiumIndex")
    stocks = {
        row["symbol"] for row in listing["symbols"] if row["contractType"] == "TRADIFI_PERPETUAL"
    }
    by_symbol = {row["symbol"]: row for row in premium}

    assert {row["s"] for row in tradfi} == stocks
    assert not stocks & set(rows)
    assert rows["BTCUSD_PERP"]["st"] == 2
    assert set(rows) - {row["symbol"] for row in listing["symbols"]} == {
        "UNLISTEDUSDT", "BTCUSD_PERP", "ETHUSD_PERP",
    }  # fmt: skip
    assert rows["UNLISTEDUSDT"]["T"] > 0
    for symbol in ("BTCUSDT_261225", "OLD001USDT"):
        assert (rows[symbol]["r"], rows[symbol]["T"]) == ("", 0)
    assert by_symbol["SOLUSDT"]["nextFundingTime"] == rows["SOLUSDT"]["T"]
    assert by_symbol["SOLUSDT"]["lastFundingRate"] == rows["SOLUSDT"]["r"]


async def test_rows_begin_with_a_listing_and_end_with_a_delisting(sim: SimulatorClient) -> None:
    onboard = NOON_MS + HOUR_MS // 2
    listing = {"onboard_ms": onboard, "status": "PENDING_TRADING", "funding_hours": 1}
    await sim.list_symbol("perp", "BORNUSDT", **listing)
    before = await rates(sim, symbol="BORNUSDT")
    async with sim.connect("perp", "/market/ws/!contractInfo") as contracts:
        await stop_clock(sim, onboard + 3 * HOUR_MS)
        while (await contracts.receive_message())["s"] != "BORNUSDT":
            pass
    alive = await rates(sim, symbol="BORNUSDT")
    await sim.change_symbol("perp", "BORNUSDT", status=None)
    await stop_clock(sim, onboard + 6 * HOUR_MS)
    dead = await rates(sim, symbol="BORNUSDT")
    among_all = await rates(sim, startTime=onboard, limit=1000)

    assert before == []
    assert [row["fundingTime"] // HOUR_MS - NOON_MS // HOUR_MS for row in alive] == [1, 2, 3]
    assert dead == alive
    assert [row for row in among_all if row["symbol"] == "BORNUSDT"][:1] == alive[:1]


async def test_an_interval_changes_from_now_on(sim: SimulatorClient) -> None:
    await sim.list_symbol("perp", "FASTUSDT", funding_hours=8, onboard_ms=NOON_MS - 2 * DAY_MS)
    before = await rates(sim, symbol="FASTUSDT")
    await sim.change_symbol("perp", "FASTUSDT", funding_hours=1)
    _, premium, _ = await sim.rest("perp", "/fapi/v1/premiumIndex?symbol=FASTUSDT")
    _, info, _ = await sim.rest("perp", "/fapi/v1/fundingInfo")
    await stop_clock(sim, NOON_MS + 3 * HOUR_MS)
    after = await rates(sim, symbol="FASTUSDT")

    assert premium["nextFundingTime"] == NOON_MS + HOUR_MS
    assert {row["symbol"]: row["fundingIntervalHours"] for row in info}["FASTUSDT"] == 1
    assert after[: len(before)] == before
    assert [row["fundingTime"] // HOUR_MS - NOON_MS // HOUR_MS for row in after[-3:]] == [-4, 1, 2]


async def test_its_limit_is_shared_and_in_no_header(sim: SimulatorClient) -> None:
    await sim.control("POST", "/sim/limits", {"limits": {"futures.funding": 2}})
    replies = [await sim.rest("perp", path) for path in (RATES, "/fapi/v1/fundingInfo", RATES)]
    await sim.control("POST", "/sim/limits", {"limits": {"futures.funding": 500}})

    assert [status for status, _, _ in replies] == [200, 200, 429]
    assert {headers["X-MBX-USED-WEIGHT-1M"] for _, _, headers in replies} == {"0"}


async def test_ccxt_reads_the_history(sim: SimulatorClient) -> None:
    import ccxt  # type: ignore[import-untyped]  # noqa: PLC0415 (slow)

    client = point_at_simulator(ccxt.binanceusdm(), sim.urls)
    rows = await anyio.to_thread.run_sync(
        lambda: client.fetch_funding_rate_history("BTC/USDT:USDT", NOON_MS - DAY_MS, 3)
    )

    assert [row["timestamp"] // HOUR_MS for row in rows] == [
        (MIDNIGHT_MS + offset * HOUR_MS) // HOUR_MS for offset in (-8, 0, 8)
    ]
    assert all(-0.0001 <= row["fundingRate"] <= 0.0003 for row in rows)
