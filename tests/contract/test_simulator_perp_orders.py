"""Futures orders of the simulator: Binance's SDK and ccxt trade there, and the user stream tells.

Only the addresses of the clients are changed. One simulator serves all tests; each leaves no open
order and no position.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import anyio
import anyio.to_thread
import pytest
from binance_common.configuration import ConfigurationRestAPI

from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from tests.ccxt_clients import point_at_simulator
from tests.contract.binance_sdks import futures_sdk
from tests.contract.signed_client import Account, running_simulator
from tests.simulator_client import StreamConnection, simulator_client

BTC, ORDER, ALGO = "BTCUSDT", "/fapi/v1/order", "/fapi/v1/algoOrder"
EVENTS = "ORDER_TRADE_UPDATE/TRADE_LITE/ALGO_UPDATE/ACCOUNT_UPDATE/ACCOUNT_CONFIG_UPDATE"
FAR_BELOW, FAR_ABOVE = -0.02, 0.02


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with running_simulator(SimulatorConfig(symbols=(BTC,), rate=1)) as urls:
        yield urls


@pytest.fixture
async def account(urls: dict[str, str]) -> AsyncIterator[Account]:
    async with simulator_client(urls) as sim:
        account = Account(sim)
        yield account
        await sim.control("DELETE", "/sim/faults")
        await account.send("DELETE", "/fapi/v1/allOpenOrders", account.signed(symbol=BTC))
        await account.send("DELETE", "/fapi/v1/algoOpenOrders", account.signed(symbol=BTC))


@pytest.fixture(scope="module")
def sdk(urls: dict[str, str]) -> Any:
    configuration = ConfigurationRestAPI(
        api_key=DEMO_KEY.key, api_secret=DEMO_KEY.secret, base_path=urls["perp_rest_url"]
    )
    return futures_sdk(config_rest_api=configuration).rest_api


async def called(method: Any, **parameters: Any) -> Any:
    """The SDK's parsed reply; its methods block, hence the thread."""
    response = await anyio.to_thread.run_sync(lambda: method(**parameters))
    return response.data()


async def price(account: Account, part: float = 0.0) -> float:
    """The best bid, moved by a part of it, on the tick."""
    _, ticker, _ = await account.sim.rest("perp", f"/fapi/v1/ticker/bookTicker?symbol={BTC}")
    return round(float(ticker["bidPrice"]) * (1 + part), 1)


async def place(account: Account, path: str = ORDER, **parameters: Any) -> tuple[int, Any]:
    return await account.send("POST", path, account.signed(symbol=BTC, **parameters))


async def cancel(account: Account, path: str = ORDER, **parameters: Any) -> tuple[int, Any]:
    return await account.send("DELETE", path, account.signed(**parameters))


@asynccontextmanager
async def user_stream(account: Account) -> AsyncIterator[StreamConnection]:
    _, opened = await account.send("POST", "/fapi/v1/listenKey")
    path = f"/private/ws?listenKey={opened['listenKey']}&events={EVENTS}"
    async with account.sim.connect("perp", path) as stream:
        await stream.request("LIST_SUBSCRIPTIONS")
        yield stream


async def received(stream: StreamConnection, count: int) -> list[dict[str, Any]]:
    return [await stream.receive_message() for _ in range(count)]


@pytest.mark.parametrize("time_in_force", ["GTC", "GTX"])
async def test_the_sdk_rests_finds_and_cancels_a_limit_order(
    account: Account, sdk: Any, time_in_force: str
) -> None:
    at, client_id = await price(account, FAR_BELOW), f"sdk-{time_in_force}"
    placed = await called(
        sdk.new_order,
        symbol=BTC,
        side="BUY",
        type="LIMIT",
        time_in_force=time_in_force,
        quantity=0.01,
        price=at,
        new_client_order_id=client_id,
    )
    found = await called(sdk.query_order, symbol=BTC, orig_client_order_id=client_id)
    opened = await called(sdk.current_all_open_orders)
    one = await called(sdk.query_current_open_order, symbol=BTC, order_id=placed.order_id)
    cancelled = await called(sdk.cancel_order, symbol=BTC, order_id=placed.order_id)
    history = await called(sdk.all_orders, symbol=BTC)

    assert (placed.status, placed.time_in_force) == ("NEW", time_in_force)
    assert (found.order_id, found.avg_price, found.cum_quote) == (
        placed.order_id,
        "0.00000",
        "0.00000",
    )
    assert [each.order_id for each in opened] == [one.order_id] == [placed.order_id]
    assert (cancelled.status, cancelled.client_order_id) == ("CANCELED", client_id)
    assert (history[-1].order_id, history[-1].status) == (placed.order_id, "CANCELED")


async def test_the_sdk_opens_and_reduces_a_position_at_market(sdk: Any) -> None:
    bought = await called(sdk.new_order, symbol=BTC, side="BUY", type="MARKET", quantity=0.02)
    held = await called(sdk.position_information_v3, symbol=BTC)
    v2 = await called(sdk.position_information_v2, symbol=BTC)
    of_account = await called(sdk.account_information_v3)
    sold = await called(
        sdk.new_order, symbol=BTC, side="SELL", type="MARKET", quantity=0.02, reduce_only="true"
    )
    found = await called(sdk.query_order, symbol=BTC, order_id=sold.order_id)
    flat = await called(sdk.position_information_v3, symbol=BTC)
    trades = await called(sdk.account_trade_list, symbol=BTC, order_id=bought.order_id)
    balances = await called(sdk.futures_account_balance_v3)

    assert (bought.status, bought.executed_qty) == ("NEW", "0.000")
    assert [each.position_amt for each in held] == [each.position_amt for each in v2] == ["0.02"]
    assert [each.position_amt for each in of_account.positions] == ["0.02"]
    assert (found.status, found.executed_qty, found.reduce_only) == ("FILLED", "0.020", True)
    assert float(found.avg_price) > 0
    assert flat == []
    assert sum(float(each.qty) for each in trades) == pytest.approx(0.02)
    assert {each.commission_asset for each in trades} == {"USDT"}
    assert balances[0].asset == "USDT"


@pytest.mark.parametrize("time_in_force", ["IOC", "FOK"])
async def test_the_sdk_fills_and_expires_orders_that_do_not_rest(
    account: Account, sdk: Any, time_in_force: str
) -> None:
    order = {"symbol": BTC, "type": "LIMIT", "time_in_force": time_in_force, "quantity": 0.01}
    bought = await called(sdk.new_order, side="BUY", price=await price(account, 0.001), **order)
    sold = await called(sdk.new_order, side="SELL", price=await price(account, -0.001), **order)
    filled = [
        (await called(sdk.query_order, symbol=BTC, order_id=each.order_id)).status
        for each in (bought, sold)
    ]
    missed = await place(
        account,
        side="BUY",
        type="LIMIT",
        timeInForce=time_in_force,
        quantity="0.01",
        price=await price(account, FAR_BELOW),
    )

    assert filled == ["FILLED", "FILLED"]
    if missed[0] == 200:
        _, found = await account.get(ORDER, symbol=BTC, orderId=missed[1]["orderId"])
        assert found["status"] == "EXPIRED"
    else:
        assert (time_in_force, missed[1]["code"]) == ("FOK", -5021)


async def test_the_sdk_trades_both_sides_in_hedge_mode(account: Account, sdk: Any) -> None:
    await called(sdk.change_position_mode, dual_side_position="true")
    order = {"symbol": BTC, "type": "MARKET", "quantity": 0.01}
    await called(sdk.new_order, side="BUY", position_side="LONG", **order)
    await called(sdk.new_order, side="SELL", position_side="SHORT", **order)
    held = await called(sdk.position_information_v3, symbol=BTC)
    mode = await called(sdk.get_current_position_mode)
    _, reduce_only = await place(
        account,
        side="SELL",
        type="MARKET",
        quantity="0.01",
        positionSide="LONG",
        reduceOnly="true",
    )
    _, no_side = await place(account, side="SELL", type="MARKET", quantity="0.01")
    await called(sdk.new_order, side="SELL", position_side="LONG", **order)
    await called(sdk.new_order, side="BUY", position_side="SHORT", **order)
    await called(sdk.change_position_mode, dual_side_position="false")

    amounts = {each.position_side: each.position_amt for each in held}
    assert amounts == {"LONG": "0.01", "SHORT": "-0.01"}
    assert mode.dual_side_position is True
    assert (reduce_only["code"], no_side["code"]) == (-1106, -4061)


@pytest.mark.parametrize(
    ("kind", "part", "priced"),
    [
        ("STOP_MARKET", FAR_BELOW, False),
        ("STOP", FAR_BELOW, True),
        ("TAKE_PROFIT_MARKET", FAR_ABOVE, False),
        ("TAKE_PROFIT", FAR_ABOVE, True),
    ],
)
async def test_the_sdk_places_finds_and_cancels_an_algo_order(
    account: Account, sdk: Any, kind: str, part: float, *, priced: bool
) -> None:
    trigger, client_id = await price(account, part), f"sdk-{kind}"
    placed = await called(
        sdk.new_algo_order,
        algo_type="CONDITIONAL",
        symbol=BTC,
        side="SELL",
        type=kind,
        quantity=0.01,
        trigger_price=trigger,
        price=trigger if priced else None,
        client_algo_id=client_id,
    )
    found = await called(sdk.query_algo_order, client_algo_id=client_id)
    opened = await called(sdk.current_all_algo_open_orders, symbol=BTC)
    _, among_orders = await account.get(ORDER, symbol=BTC, origClientOrderId=client_id)
    status, cancelled = await cancel(account, ALGO, algoId=placed.algo_id)
    history = await called(sdk.query_all_algo_orders, symbol=BTC)

    assert (placed.algo_status, placed.order_type) == ("NEW", kind)
    assert float(placed.trigger_price) == trigger
    assert (found.algo_id, found.actual_order_id) == (placed.algo_id, "")
    assert [each.algo_id for each in opened] == [placed.algo_id]
    assert among_orders == {"code": -2013, "msg": "Order does not exist."}
    assert (status, cancelled) == (
        200,
        {"algoId": placed.algo_id, "clientAlgoId": client_id, "code": "200", "msg": "success"},
    )
    assert (history[-1].algo_id, history[-1].algo_status) == (placed.algo_id, "CANCELED")


async def test_the_sdk_reads_and_changes_the_settings(account: Account, sdk: Any) -> None:
    async with user_stream(account) as stream:
        changed = await called(sdk.change_initial_leverage, symbol=BTC, leverage=7)
        [event] = await received(stream, 1)
    configured = await called(sdk.symbol_configuration, symbol=BTC)
    of_account = await called(sdk.futures_account_configuration)
    rates = await called(sdk.user_commission_rate, symbol=BTC)
    limits = await called(sdk.query_user_rate_limit)
    status, refused = await account.send(
        "POST", "/fapi/v1/marginType", account.signed(symbol=BTC, marginType="CROSSED")
    )
    await called(sdk.change_initial_leverage, symbol=BTC, leverage=20)

    assert (changed.leverage, configured[0].leverage) == (7, 7)
    assert (configured[0].margin_type, of_account.dual_side_position) == ("CROSSED", False)
    assert float(rates.taker_commission_rate) > float(rates.maker_commission_rate) > 0
    assert {(each.interval, each.limit) for each in limits} == {("MINUTE", 1200), ("SECOND", 300)}
    assert (status, refused["code"]) == (400, -4046)
    assert (event["e"], event["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": BTC, "l": 7})


async def test_the_user_stream_tells_of_an_order_and_its_trades(account: Account) -> None:
    async with user_stream(account) as stream:
        status, placed = await place(
            account, side="BUY", type="MARKET", quantity="0.01", newClientOrderId="ev-1"
        )
        new, update, light, trade = await received(stream, 4)
        await place(account, side="SELL", type="MARKET", quantity="0.01", reduceOnly="true")
        closing = await received(stream, 4)

    assert status == 200
    assert not {"avgPrice", "cumQuote"} & placed.keys()
    assert (new["e"], new["o"]["x"], new["o"]["c"]) == ("ORDER_TRADE_UPDATE", "NEW", "ev-1")
    assert (light["e"], light["t"]) == ("TRADE_LITE", trade["o"]["t"])
    assert (trade["o"]["x"], trade["o"]["X"]) == ("TRADE", "FILLED")
    assert (trade["o"]["N"], float(trade["o"]["n"]) > 0) == ("USDT", True)
    assert (update["e"], update["a"]["m"]) == ("ACCOUNT_UPDATE", "ORDER")
    assert [(each["s"], each["pa"]) for each in update["a"]["P"]] == [(BTC, "0.01")]
    assert [each["e"] for each in closing] == [each["e"] for each in (new, update, light, trade)]
    assert closing[1]["a"]["P"][0]["pa"] == "0"
    assert closing[3]["o"]["R"] is True


async def test_a_triggered_stop_has_a_child_that_both_sides_name(account: Account) -> None:
    await place(account, side="BUY", type="MARKET", quantity="0.01")
    trigger = await price(account, -0.005)
    status, stop = await place(
        account,
        ALGO,
        algoType="CONDITIONAL",
        side="SELL",
        type="STOP_MARKET",
        quantity="0.01",
        triggerPrice=trigger,
        reduceOnly="true",
        clientAlgoId="stop-1",
    )
    assert status == 200, stop
    before = await price(account)
    async with user_stream(account) as stream:
        await account.sim.control(
            "POST", "/sim/price", {"venue": "perp", "symbol": BTC, "price": str(trigger - 10)}
        )
        events: list[dict[str, Any]] = []
        while not events or events[-1].get("o", {}).get("X") != "FINISHED":
            events.append(await stream.receive_message())
    _, algo = await account.get(ALGO, algoId=stop["algoId"])
    _, child = await account.get(ORDER, symbol=BTC, orderId=algo["actualOrderId"])
    await account.sim.control(
        "POST", "/sim/price", {"venue": "perp", "symbol": BTC, "price": str(before)}
    )

    algo_events = [each["o"] for each in events if each["e"] == "ALGO_UPDATE"]
    assert [each["X"] for each in algo_events] == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert algo_events[-1]["ai"] == algo["actualOrderId"] == str(child["orderId"])
    assert (child["status"], child["executedQty"], child["clientOrderId"]) == (
        "FILLED",
        "0.010",
        "stop-1",
    )
    assert child["origType"] == "STOP_MARKET"
    of_child = [each["o"] for each in events if each["e"] == "ORDER_TRADE_UPDATE"]
    assert {each["i"] for each in of_child} == {child["orderId"]}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"side": "BUY", "type": "STOP_MARKET", "quantity": "0.01", "stopPrice": "1"}, -4120),
        ({"side": "HOLD", "type": "MARKET", "quantity": "0.01"}, -1117),
        ({"side": "BUY", "type": "ICEBERG", "quantity": "0.01"}, -1116),
        ({"side": "BUY", "type": "MARKET"}, -1102),
        ({"side": "BUY", "type": "MARKET", "quantity": "0.0101"}, -1111),
        ({"side": "BUY", "type": "MARKET", "quantity": "0.01", "timeInForce": "GTC"}, -1106),
        ({"side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "a b"}, -4015),
        ({"side": "SELL", "type": "MARKET", "quantity": "0.01", "reduceOnly": "true"}, -2022),
        ({"side": "BUY", "type": "MARKET", "quantity": "0.01", "symbol": "NONE"}, -1121),
    ],
)
async def test_a_wrong_order_has_binances_code_and_costs_an_order(
    account: Account, parameters: dict[str, Any], code: int
) -> None:
    status, refused = await account.send(
        "POST", ORDER, account.signed(**{"symbol": BTC, **parameters})
    )
    counted = account.headers["X-MBX-ORDER-COUNT-1M"]
    tested, of_test = await account.send(
        "POST", f"{ORDER}/test", account.signed(**{"symbol": BTC, **parameters})
    )

    assert (status, refused["code"]) == (400, code)
    assert int(counted) > 0
    assert (tested, of_test.get("code", code)) in {(400, code), (200, code)}


async def test_a_post_only_order_that_would_take_leaves_no_record(account: Account) -> None:
    status, refused = await place(
        account,
        side="BUY",
        type="LIMIT",
        timeInForce="GTX",
        quantity="0.01",
        price=await price(account, 0.001),
        newClientOrderId="gtx-1",
    )
    missing = await account.get(ORDER, symbol=BTC, origClientOrderId="gtx-1")
    gone = await cancel(account, symbol=BTC, origClientOrderId="gtx-1")
    unnamed = await cancel(account, symbol=BTC)

    assert (status, refused["code"]) == (400, -5022)
    assert (missing[0], missing[1]["code"]) == (400, -2013)
    assert gone == (400, {"code": -2011, "msg": "Unknown order sent."})
    assert unnamed[1]["code"] == -1102


@pytest.mark.parametrize("do", ["execute-then-unavailable:unknown", "unavailable-then-execute:300"])
async def test_an_order_of_unknown_outcome_is_executed(account: Account, do: str) -> None:
    await account.sim.arm(f"POST {ORDER}", do)
    async with user_stream(account) as stream:
        status, body = await place(
            account,
            side="BUY",
            type="MARKET",
            quantity="0.01",
            newClientOrderId="lost-1",
            recvWindow=200,
        )
        events = await received(stream, 4)
    await place(account, side="SELL", type="MARKET", quantity="0.01", reduceOnly="true")

    assert (status, body["msg"].partition(",")[0]) == (503, "Unknown error")
    of_order = [each["o"]["c"] for each in events if each["e"] == "ORDER_TRADE_UPDATE"]
    assert of_order == ["lost-1", "lost-1"]
    assert await account.sim.fired() == [1]


async def test_an_event_of_an_order_is_lost_and_the_order_is_not(account: Account) -> None:
    await account.sim.arm("user:perp:ORDER_TRADE_UPDATE", "gap", times=2)
    async with user_stream(account) as stream:
        _, placed = await place(account, side="BUY", type="MARKET", quantity="0.01")
        update, light = await received(stream, 2)
    _, found = await account.get(ORDER, symbol=BTC, orderId=placed["orderId"])
    await place(account, side="SELL", type="MARKET", quantity="0.01", reduceOnly="true")

    assert (light["e"], update["e"], found["status"]) == ("TRADE_LITE", "ACCOUNT_UPDATE", "FILLED")
    assert await account.sim.fired() == [2]


async def test_ccxt_places_queries_and_cancels_each_kind(
    account: Account, urls: dict[str, str]
) -> None:
    client = import_module("ccxt.async_support").binanceusdm(
        {"apiKey": DEMO_KEY.key, "secret": DEMO_KEY.secret}
    )
    point_at_simulator(client, urls)
    symbol = "BTC/USDT:USDT"
    below, above = await price(account, FAR_BELOW), await price(account, FAR_ABOVE)
    try:
        limit = await client.create_order(symbol, "limit", "buy", 0.01, below)
        post_only = await client.create_order(
            symbol, "limit", "buy", 0.01, below, {"postOnly": True}
        )
        opened = await client.fetch_open_orders(symbol)
        found = await client.fetch_order(limit["id"], symbol)
        cancelled = [
            (await client.cancel_order(each["id"], symbol))["status"] for each in (limit, post_only)
        ]
        bought = await client.create_order(symbol, "market", "buy", 0.01)
        [position] = await client.fetch_positions([symbol])
        algos = [
            await client.create_order(
                symbol, kind, "sell", 0.01, price, {name: trigger, "reduceOnly": True}
            )
            for kind, price, name, trigger in (
                ("market", None, "stopLossPrice", below),
                ("limit", below, "stopLossPrice", below),
                ("market", None, "takeProfitPrice", above),
                ("limit", above, "takeProfitPrice", above),
            )
        ]
        conditional = await client.fetch_open_orders(symbol, params={"trigger": True})
        for each in algos:
            await client.cancel_order(each["id"], symbol, {"trigger": True})
        await client.create_order(symbol, "market", "sell", 0.01, None, {"reduceOnly": True})
        trades = await client.fetch_my_trades(symbol, limit=1)
        filled = await client.fetch_order(bought["id"], symbol)
    finally:
        await client.close()

    assert [each["id"] for each in opened] == [limit["id"], post_only["id"]]
    assert (found["status"], cancelled) == ("open", ["canceled", "canceled"])
    assert (filled["status"], filled["filled"]) == ("closed", 0.01)
    assert (position["contracts"], position["side"]) == (0.01, "long")
    assert {each["id"] for each in conditional} == {each["id"] for each in algos}
    assert (trades[0]["side"], trades[0]["fee"]["currency"]) == ("sell", "USDT")
