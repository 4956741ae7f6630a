"""ccxt, and with it every tool built on it, uses the simulator with only its addresses changed."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio
import anyio.to_thread
import pytest
from msgspec import Struct

from tests.ccxt_clients import point_at_simulator
from tests.processes import ChimeraProcess, simulator_process
from tests.simulator_client import simulator_client
from tests.time_limits import TIMEOUT_S

MODULES = ("ccxt", "ccxt.async_support")  # Imported by the tests: slow, and all workers collect.
CLIENTS = {
    f"{module} {name} {key}": (module, name, with_key)
    for module in MODULES
    for name in ("binance", "binanceusdm")
    for with_key, key in ((False, "without a key"), (True, "with a key"))
}


class Reading(Struct):
    """What one client read: markets, and what it says of BTC against USDT."""

    markets: dict[str, Any]
    ticker: dict[str, Any]
    listed_ticker: dict[str, Any]
    book: dict[str, Any]
    last: dict[str, Any]


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[ChimeraProcess]:
    async with simulator_process("--symbols", "3", "--spot-usdt", "1000") as process:
        yield process


@asynccontextmanager
async def opened(
    simulator: ChimeraProcess, module: str, name: str, *, with_key: bool = False
) -> AsyncIterator[Any]:
    ready = simulator.ready
    key = {"apiKey": ready["api_key"], "secret": ready["api_secret"]} if with_key else {}
    made = getattr(import_module(module), name)
    client = point_at_simulator(made(key), ready)
    assert client.options == made().options
    try:
        yield client
    finally:
        closing = client.close()
        if inspect.isawaitable(closing):
            await closing


async def called(method: Callable[..., Any], *arguments: Any) -> Any:
    """The reply, of a blocking client or another."""
    with anyio.fail_after(TIMEOUT_S):
        if inspect.iscoroutinefunction(method):
            return await method(*arguments)
        return await anyio.to_thread.run_sync(lambda: method(*arguments))


@pytest.fixture(scope="module")
async def readings(simulator: ChimeraProcess) -> dict[str, Reading]:
    """Of all clients at once: most of the time ccxt waits for its own rate limiter."""
    read: dict[str, Reading] = {}

    async def read_prices(client_id: str) -> None:
        module, name, with_key = CLIENTS[client_id]
        symbol = _btc(name)
        async with opened(simulator, module, name, with_key=with_key) as client:
            read[client_id] = Reading(
                await called(client.load_markets),
                await called(client.fetch_ticker, symbol),
                (await called(client.fetch_tickers))[symbol],
                (await called(client.fetch_bids_asks))[symbol],
                (await called(client.fetch_last_prices))[symbol],
            )

    async with anyio.create_task_group() as tasks:
        for client_id in CLIENTS:
            tasks.start_soon(read_prices, client_id)
    return read


def _btc(name: str) -> str:
    return "BTC/USDT" if name == "binance" else "BTC/USDT:USDT"


@pytest.mark.parametrize("client_id", CLIENTS)
async def test_ccxt_loads_its_markets_and_reads_prices(
    readings: dict[str, Reading], client_id: str
) -> None:
    _, name, _ = CLIENTS[client_id]
    reading, ticker = readings[client_id], readings[client_id].ticker

    assert _btc(name) in reading.markets
    assert {"BTC/USDT", "BTC/USD:BTC"} <= reading.markets.keys() or name == "binanceusdm"
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["low"] <= ticker["vwap"] <= ticker["high"]
    assert ticker["change"] == pytest.approx(ticker["last"] - ticker["open"])
    assert reading.listed_ticker["quoteVolume"] > 0
    assert reading.book["bid"] < reading.book["ask"]
    assert ticker["low"] <= reading.last["price"] <= ticker["high"]


async def test_ccxt_reads_the_rules_of_a_symbol(readings: dict[str, Reading]) -> None:
    markets = readings["ccxt binance without a key"].markets

    assert markets["BTC/USDT"]["precision"]["price"] == 0.01
    assert markets["BTC/USDT"]["precision"]["amount"] == 0.00001
    assert markets["BTC/USDT:USDT"]["precision"]["price"] == 0.1
    assert markets["BTC/USDT:USDT"]["limits"]["cost"]["min"] == 100
    assert markets["BTC/USD:BTC"]["contractSize"] == 100
    assert markets["LUNC/USDT"]["active"] is False


async def test_ccxt_with_a_key_knows_which_pairs_are_traded_on_margin(
    readings: dict[str, Reading],
) -> None:
    markets = readings["ccxt.async_support binance with a key"].markets

    assert markets["BTC/USDT"]["margin"] is True
    assert markets["LUNC/USDT"]["margin"] is False


@pytest.mark.parametrize("module", MODULES)
async def test_ccxt_with_a_key_reads_its_account(simulator: ChimeraProcess, module: str) -> None:
    async with (
        opened(simulator, module, "binance", with_key=True) as spot,
        opened(simulator, module, "binanceusdm", with_key=True) as futures,
    ):
        currencies = await called(spot.fetch_currencies)
        fees = await called(spot.fetch_trading_fees)
        spot_balance = await called(spot.fetch_balance)
        futures_balance = await called(futures.fetch_balance)
        older_balance = await called(futures.fetch_balance, {"useV2": True})
        status = await called(spot.fetch_status)

    assert currencies["USDT"]["active"] is True
    assert fees["BTC/USDT"]["taker"] == 0.001
    assert spot_balance["USDT"]["free"] > 0
    assert futures_balance["USDT"] == older_balance["USDT"]
    assert futures_balance["USDT"]["total"] > 0
    assert status["status"] == "ok"


async def test_ccxt_transfers_money_and_finds_the_transfer(simulator: ChimeraProcess) -> None:
    async with opened(simulator, "ccxt.async_support", "binance", with_key=True) as client:
        before = await called(client.fetch_balance)
        moved = await called(client.transfer, "USDT", 7, "spot", "future")
        after = await called(client.fetch_balance)
        history = await called(client.fetch_transfers, "USDT")

    assert before["USDT"]["free"] - after["USDT"]["free"] == pytest.approx(7)
    assert moved["id"] in {row["id"] for row in history}


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT"])
async def test_ccxt_keeps_a_local_book(simulator: ChimeraProcess, symbol: str) -> None:
    """Snapshot and diffs chain: ccxt raises on the first gap."""
    async with opened(simulator, "ccxt.pro", "binance") as client:
        with anyio.fail_after(TIMEOUT_S):
            rest_book = await client.fetch_order_book(symbol, 5)
            tickers = await client.watch_bids_asks([symbol])
            book = await client.watch_order_book(symbol)
            first = book["nonce"]
            while book["nonce"] < first + 100:
                book = await client.watch_order_book(symbol)

    assert rest_book["bids"][0][0] < rest_book["asks"][0][0]
    assert tickers[symbol]["bid"] < tickers[symbol]["ask"]
    assert book["bids"][0][0] < book["asks"][0][0]


async def test_ccxt_watches_mark_prices(simulator: ChimeraProcess) -> None:
    async with opened(simulator, "ccxt.pro", "binance") as client:
        with anyio.fail_after(TIMEOUT_S):
            mark = await client.watch_mark_price("BTC/USDT:USDT")

    assert mark["markPrice"] > 0


async def test_ccxt_reads_a_market_as_large_as_binance(simulator: ChimeraProcess) -> None:
    """Unknown words and Chinese names included; and the brackets and intervals of all contracts."""
    async with simulator_client(simulator.ready) as sim:
        status, _ = await sim.control("POST", "/sim/listings/whole-market")
        assert status == 201
    async with opened(simulator, "ccxt.async_support", "binance", with_key=True) as client:
        markets = await called(client.load_markets)
        tiers = await called(client.fetch_leverage_tiers)
        intervals = await called(client.fetch_funding_intervals)

    swaps = {name for name, market in markets.items() if market["swap"] and market["linear"]}
    assert len(markets) > 3800
    assert "币安人生/USDT:USDT" in swaps
    assert swaps <= tiers.keys()
    assert tiers["BTC/USDT:USDT"][0]["maxLeverage"] == 75
    assert {row["interval"] for row in intervals.values()} == {"1h", "2h", "4h", "8h"}
