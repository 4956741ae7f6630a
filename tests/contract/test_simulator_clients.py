"""Third-party clients read the simulator with only their addresses changed.

Binance's own SDKs check that the simulator follows the protocol: they parse every reply into their
own types, or fail. ccxt has a module of its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_common.constants import TimeUnit

from tests.contract.binance_sdks import Sdk, futures_sdk, spot_sdk
from tests.processes import ChimeraProcess, simulator_process
from tests.time_limits import TIMEOUT_S


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[ChimeraProcess]:
    async with simulator_process("--symbols", "3") as process:
        yield process


@pytest.fixture
def spot(simulator: ChimeraProcess) -> Sdk:
    return spot_sdk(
        config_rest_api=ConfigurationRestAPI(base_path=simulator.ready["spot_rest_url"]),
        config_ws_streams=ConfigurationWebSocketStreams(
            stream_url=simulator.ready["spot_ws_url"] + "/stream"
        ),
    )


@pytest.fixture
def futures(simulator: ChimeraProcess) -> Sdk:
    return futures_sdk(
        config_rest_api=ConfigurationRestAPI(base_path=simulator.ready["perp_rest_url"]),
        config_ws_streams=ConfigurationWebSocketStreams(
            stream_url=simulator.ready["perp_ws_url"] + "/stream"
        ),
    )


async def called(method: Callable[..., Any], **parameters: Any) -> Any:
    """The parsed reply; the SDKs' REST methods block, hence the thread."""
    with anyio.fail_after(TIMEOUT_S):
        response = await anyio.to_thread.run_sync(lambda: method(**parameters))
    data = response.data()
    return getattr(data, "actual_instance", None) or data


async def first_message(subscribing: Awaitable[Any]) -> Any:
    """The first message the SDK's callback gets."""
    send, receive = anyio.create_memory_object_stream[Any](10_000)
    with anyio.fail_after(TIMEOUT_S), send, receive:
        handle = await subscribing
        handle.on("message", send.send_nowait)
        message = await receive.receive()
        await handle.unsubscribe()
    return message


async def test_spot_sdk_reads_rest(spot: Sdk) -> None:
    api = spot.rest_api

    time = await called(api.time)
    listed = await called(api.exchange_info, symbols=["BTCUSDT", "ETHUSDT"])
    depth = await called(api.depth, symbol="BTCUSDT", limit=5)
    ticker = await called(api.ticker_book_ticker, symbol="BTCUSDT")
    price = await called(api.ticker_price, symbol="BTCUSDT")
    day = await called(api.ticker24hr, symbol="BTCUSDT")
    average = await called(api.avg_price, symbol="BTCUSDT")

    assert time.server_time > 1_700_000_000_000
    assert [symbol.symbol for symbol in listed.symbols] == ["BTCUSDT", "ETHUSDT"]
    filters = {each.actual_instance.filter_type for each in listed.symbols[0].filters}
    assert {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= filters
    assert float(depth.bids[0][0]) < float(depth.asks[0][0])
    assert float(ticker.bid_price) < float(ticker.ask_price)
    assert float(day.low_price) <= float(price.price) <= float(day.high_price)
    assert average.price == day.weighted_avg_price
    assert day.close_time - day.open_time == 86_400_000


async def test_spot_sdk_reads_streams(spot: Sdk) -> None:
    streams: Any = spot.websocket_streams
    await streams.create_connection()
    try:
        ticker = await first_message(streams.book_ticker(symbol="btcusdt"))
        depth = await first_message(
            streams.partial_book_depth(symbol="btcusdt", levels="5", update_speed="100ms")
        )
        diff = await first_message(streams.diff_book_depth(symbol="btcusdt", update_speed="100ms"))
    finally:
        await streams.close_connection(close_session=True)

    assert (ticker.s, float(ticker.b) < float(ticker.a)) == ("BTCUSDT", True)
    assert len(depth.bids) == len(depth.asks) == 5
    assert (diff.e, diff.s) == ("depthUpdate", "BTCUSDT")


async def test_spot_sdk_lists_what_it_subscribed(spot: Sdk) -> None:
    streams: Any = spot.websocket_streams
    await streams.create_connection()
    try:
        with anyio.fail_after(TIMEOUT_S):
            first = await streams.book_ticker(symbol="btcusdt")
            await streams.book_ticker(symbol="ethusdt")
            both = await streams.list_subscribe()
            await first.unsubscribe()
            one = await streams.list_subscribe()
    finally:
        await streams.close_connection(close_session=True)

    assert both["result"] == ["btcusdt@bookTicker", "ethusdt@bookTicker"]
    assert one["result"] == ["ethusdt@bookTicker"]


async def test_futures_sdk_reads_rest(futures: Sdk) -> None:
    api = futures.rest_api

    time = await called(api.check_server_time)
    listed = await called(api.exchange_information)
    depth = await called(api.order_book, symbol="BTCUSDT", limit=5)
    premium = await called(api.mark_price, symbol="BTCUSDT")
    price = await called(api.symbol_price_ticker_v2, symbol="BTCUSDT")
    day = await called(api.ticker24hr_price_change_statistics, symbol="BTCUSDT")

    assert time.server_time > 1_700_000_000_000
    assert {"BTCUSDT", "BTCUSDT_261225"} <= {symbol.symbol for symbol in listed.symbols}
    assert len(depth.bids) == len(depth.asks) == 5
    assert premium.next_funding_time > premium.time
    assert float(day.low_price) <= float(price.price) <= float(day.high_price)


async def test_futures_sdk_reads_streams(futures: Sdk) -> None:
    streams: Any = futures.websocket_streams
    await streams.create_connection()
    try:
        ticker = await first_message(
            streams.individual_symbol_book_ticker_streams(symbol="btcusdt")
        )
        depth = await first_message(
            streams.partial_book_depth_streams(symbol="btcusdt", levels=5, update_speed="100ms")
        )
        mark = await first_message(streams.mark_price_stream(symbol="btcusdt", update_speed="1s"))
        market = await first_message(streams.mark_price_stream_for_all_market(update_speed="1s"))
    finally:
        await streams.close_connection(close_session=True)

    assert (ticker.s, ticker.st, float(ticker.b) < float(ticker.a)) == ("BTCUSDT", 1, True)
    assert (depth.e, len(depth.b), len(depth.a)) == ("depthUpdate", 5, 5)
    assert (mark.e, mark.s) == ("markPriceUpdate", "BTCUSDT")
    assert {row.e for row in market} == {"markPriceUpdate"}


async def test_spot_sdk_reads_times_in_microseconds(simulator: ChimeraProcess) -> None:
    rest = ConfigurationRestAPI(
        base_path=simulator.ready["spot_rest_url"], time_unit=TimeUnit.MICROSECOND.value
    )
    streams_url = simulator.ready["spot_ws_url"] + "/stream"
    ws = ConfigurationWebSocketStreams(stream_url=streams_url, time_unit=TimeUnit.MICROSECOND)
    spot = spot_sdk(config_rest_api=rest, config_ws_streams=ws)
    streams: Any = spot.websocket_streams

    time = await called(spot.rest_api.time)
    await streams.create_connection()
    try:
        diff = await first_message(streams.diff_book_depth(symbol="btcusdt", update_speed="100ms"))
    finally:
        await streams.close_connection(close_session=True)

    assert 1_700_000_000_000_000 < time.server_time < 10_000_000_000_000_000
    assert 1_700_000_000_000_000 < diff.E < 10_000_000_000_000_000
