"""Requests of spot trading to the simulator: refused, counted, paged, lost and executed late."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import ClientConnectionError
from anyio.abc import TaskGroup

from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from tests.contract.signed_client import Account, trader
from tests.spot_user_stream import subscribed

SYMBOL = "BTCUSDT"
DAY_MS = 86_400_000


class Trader:
    """Signed requests under `/api/v3` of one account; the books do not move."""

    def __init__(self, account: Account, last: float) -> None:
        self.account = account
        self.sim = account.sim
        self.last = last
        self.urls = {**account.sim.urls, "api_key": DEMO_KEY.key, "api_secret": DEMO_KEY.secret}

    @property
    def resting(self) -> dict[str, str]:
        """Of an order that waits."""
        return {"type": "LIMIT_MAKER", "quantity": "0.01", "price": f"{self.last * 0.9:.0f}"}

    async def __call__(self, method: str, path: str, **sent: object) -> tuple[int, Any]:
        signed = self.account.signed(**sent)
        return await self.account.send(method, f"/api/v3/{path}", signed)

    async def place(self, **sent: object) -> tuple[int, Any]:
        return await self("POST", "order", **({"symbol": SYMBOL, "side": "BUY"} | sent))

    async def buy(self, **sent: object) -> Any:
        """An executed order."""
        status, order = await self.place(type="MARKET", quantity="0.01", **sent)
        assert (status, order["status"]) == (200, "FILLED"), order
        return order

    async def refusal(self, method: str, path: str, **sent: object) -> tuple[int, str]:
        _, body = await self(method, path, **sent)
        return body["code"], body["msg"]

    async def rows(self, path: str, **sent: object) -> Any:
        status, rows = await self("GET", path, **sent)
        assert status == 200, rows
        return rows

    async def ids(self, path: str, name: str, **sent: object) -> list[int]:
        return [row[name] for row in await self.rows(path, symbol=SYMBOL, **sent)]


@pytest.fixture
async def spot(tasks: TaskGroup) -> AsyncIterator[Trader]:
    config = SimulatorConfig(symbols=(SYMBOL,), rate=0.001)
    async with trader(tasks, config) as account:
        _, body, _ = await account.sim.rest("spot", f"/api/v3/ticker/price?symbol={SYMBOL}")
        yield Trader(account, float(body["price"]))


REFUSED: dict[str, tuple[dict[str, object], tuple[int, str]]] = {
    "no type": ({"type": ""}, (-1102, "Mandatory parameter 'type' was not sent")),
    "bad quantity": ({"quantity": "1e-05"}, (-1100, "Illegal characters found in parameter")),
    "unread": ({"icebergQty": "1"}, (-1104, "Not all sent parameters were read; read '8'")),
    "empty": ({"stopPrice": ""}, (-1105, "Parameter 'stopPrice' was empty.")),
    "stop price": ({"stopPrice": "1"}, (-1106, "Parameter 'stopPrice' sent when not required.")),
    "precision": ({"quantity": "0.000000001"}, (-1111, "Parameter 'quantity' has too much")),
    "time in force": ({"timeInForce": "GTX"}, (-1115, "Invalid timeInForce.")),
    "type": ({"type": "STOP"}, (-1116, "Invalid orderType.")),
    "side": ({"side": "LONG"}, (-1117, "Invalid side.")),
    "symbol": ({"symbol": "NONEUSDT"}, (-1121, "Invalid symbol.")),
    "filter": ({"quantity": "0.00000001"}, (-1013, "Filter failure: LOT_SIZE")),
    "money": ({"quantity": "100"}, (-2010, "Account has insufficient balance for requested")),
    "client id": ({"newClientOrderId": "a b"}, (-1100, "Illegal characters found in parameter")),
}


async def test_refusals_have_the_codes_and_words_of_binance(spot: Trader) -> None:
    good = {
        "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.01", "price": f"{spot.last * 0.9:.0f}",
    }  # fmt: skip
    for name, (sent, (code, words)) in REFUSED.items():
        refusal = await spot.refusal("POST", "order", **(good | sent))
        assert refusal[0] == code, name
        assert words in refusal[1], name
    crossing = spot.resting | {"price": f"{spot.last * 1.05:.0f}"}
    unknown = {"symbol": SYMBOL, "orderId": 1}

    assert await spot.refusal("POST", "order", symbol=SYMBOL, side="BUY", **crossing) == (
        -2010,
        "Order would immediately match and take.",
    )
    assert await spot.refusal("GET", "order", **unknown) == (-2013, "Order does not exist.")
    assert await spot.refusal("DELETE", "order", **unknown) == (-2011, "Unknown order sent.")
    assert (await spot.refusal("GET", "order", symbol=SYMBOL))[0] == -1102
    assert (await spot.refusal("GET", "orderList", orderListId=1))[0] == -2018
    assert (await spot.refusal("GET", "openOrders", symbol="NONE"))[0] == -1121
    assert await spot.rows("openOrders") == []


async def test_a_test_order_is_checked_and_not_placed(spot: Trader) -> None:
    good = {"symbol": SYMBOL, "side": "BUY", **spot.resting}

    assert await spot("POST", "order/test", **good) == (200, {})
    _, rates = await spot("POST", "order/test", computeCommissionRates="true", **good)
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert (await spot.refusal("POST", "order/test", **(good | {"side": "LONG"})))[0] == -1117
    assert await spot.ids("allOrders", "orderId") == []


async def test_a_key_without_permission_to_trade_may_only_read(spot: Trader) -> None:
    await spot.account.set(permissions={"spot_trading": False})
    status, body = await spot.place(type="MARKET", quantity="0.01")
    _, key = await spot.account.get("/sapi/v1/account/apiRestrictions")

    assert (status, body["code"]) == (401, -2015)
    assert key["enableSpotAndMarginTrading"] is False
    assert await spot.rows("openOrders") == []


async def test_a_client_id_is_unique_among_open_orders_only(spot: Trader) -> None:
    _, first = await spot.place(newClientOrderId="again", **spot.resting)
    _, twice = await spot.place(newClientOrderId="again", **spot.resting)
    cancelled, reply = await spot(
        "DELETE", "order", symbol=SYMBOL, origClientOrderId="again", newClientOrderId="the-cancel"
    )
    filled = await spot.buy(newClientOrderId="again")
    second = await spot.buy(newClientOrderId="again")
    found = await spot.rows("order", symbol=SYMBOL, origClientOrderId="again")

    assert twice == {"code": -2010, "msg": "Duplicate order sent."}
    assert (cancelled, reply["clientOrderId"]) == (200, "the-cancel")
    assert (reply["origClientOrderId"], reply["orderId"]) == ("again", first["orderId"])
    assert filled["orderId"] != second["orderId"] == found["orderId"]


async def test_a_restricted_cancel_spares_an_order_in_another_state(spot: Trader) -> None:
    _, placed = await spot.place(**spot.resting)
    named = {"symbol": SYMBOL, "orderId": placed["orderId"]}

    refusal = await spot.refusal(
        "DELETE", "order", cancelRestrictions="ONLY_PARTIALLY_FILLED", **named
    )
    status, _ = await spot("DELETE", "order", cancelRestrictions="ONLY_NEW", **named)

    assert refusal == (-2011, "Order was not canceled due to cancel restrictions.")
    assert status == 200


async def test_a_canceled_leg_is_answered_with_its_canceled_list(spot: Trader) -> None:
    await spot.buy()
    _, oco = await spot(
        "POST", "orderList/oco", symbol=SYMBOL, side="SELL", quantity="0.009",
        aboveType="LIMIT_MAKER", abovePrice=f"{spot.last * 1.1:.0f}",
        belowType="STOP_LOSS", belowStopPrice=f"{spot.last * 0.9:.0f}",
    )  # fmt: skip
    leg = oco["orders"][0]["orderId"]
    status, ended = await spot("DELETE", "order", symbol=SYMBOL, orderId=leg)

    assert (status, ended["orderListId"]) == (200, oco["orderListId"])
    assert ended["listOrderStatus"] == "ALL_DONE"
    assert [each["status"] for each in ended["orderReports"]] == ["CANCELED", "CANCELED"]


async def test_open_orders_are_counted_and_too_many_refused(spot: Trader) -> None:
    """Neither refused orders nor those with a fill count; accepted orders have no weight."""
    await spot.sim.control("POST", "/sim/limits", {"limits": {"spot.orders_1d": 2}})
    await spot.sim.control("DELETE", "/sim/limits")
    shown = []
    for order in ({}, {"type": "STOP"}, {"type": "MARKET", "price": None}, {}):
        sent = {name: value for name, value in (spot.resting | order).items() if value is not None}
        await spot.place(**sent)
        headers = spot.account.headers
        shown.append((headers["X-MBX-ORDER-COUNT-1D"], headers["X-MBX-USED-WEIGHT-1M"]))
    ten_seconds, day = await spot.rows("rateLimit/order")
    status, body = await spot.place(**spot.resting)

    assert shown == [("1", "0"), ("1", "1"), ("1", "1"), ("2", "1")]
    assert (ten_seconds["interval"], ten_seconds["limit"]) == ("SECOND", 100)
    assert (day["interval"], day["limit"], day["count"]) == ("DAY", 2, 2)
    assert (status, body["code"]) == (429, -1015)
    assert len(await spot.rows("openOrders")) == 2


async def test_histories_are_paged_by_id_and_by_time(spot: Trader) -> None:
    orders = [(await spot.buy())["orderId"] for _ in range(3)]
    trades = [each["id"] for each in await spot.rows("myTrades", symbol=SYMBOL)]
    now = spot.account.now_ms

    assert await spot.ids("allOrders", "orderId", limit=2) == orders[1:]
    assert await spot.ids("allOrders", "orderId", orderId=orders[1], limit=1) == orders[1:2]
    assert await spot.ids("allOrders", "orderId", startTime=now - DAY_MS) == orders
    assert await spot.ids("allOrders", "orderId", endTime=now - DAY_MS) == []
    assert await spot.ids("myTrades", "id", limit=1) == trades[-1:]
    assert await spot.ids("myTrades", "id", fromId=trades[1]) == trades[1:]
    assert await spot.ids("myTrades", "orderId", orderId=orders[0]) == orders[:1]
    window = {"symbol": SYMBOL, "startTime": now - DAY_MS - 1, "endTime": now}
    for path in ("myTrades", "allOrders"):
        assert await spot.refusal("GET", path, **window) == (
            -1127,
            "More than 24 hours between startTime and endTime.",
        )
    both = {"symbol": SYMBOL, "orderId": orders[0], "startTime": now}
    assert (await spot.refusal("GET", "allOrders", **both))[0] == -1128


async def test_the_account_shows_what_is_free_and_locked(spot: Trader) -> None:
    bought = await spot.buy()
    await spot.place(**spot.resting)
    balances = {each["asset"]: each for each in (await spot.rows("account"))["balances"]}
    await spot.sim.control("POST", "/sim/assets", {"venue": "spot", "asset": "BTC", "free": "0"})
    account = await spot.rows("account", omitZeroBalances="true")
    commission = await spot.rows("account/commission", symbol=SYMBOL)

    paid = float(bought["fills"][0]["commission"])
    assert float(balances["BTC"]["free"]) == pytest.approx(0.01 - paid)
    assert float(balances["USDT"]["locked"]) == float(spot.resting["price"]) * 0.01
    assert [each["asset"] for each in account["balances"]] == ["USDT"]
    assert account["canTrade"] is True
    assert commission["standardCommission"]["taker"] == "0.00100000"
    assert commission["discount"]["discountAsset"] == "BNB"


async def test_queries_lag_behind_the_matching_engine(spot: Trader) -> None:
    await spot.sim.control("POST", "/sim/matching", {"query_lag_ms": 60_000})
    _, placed = await spot.place(**spot.resting)
    named = {"symbol": SYMBOL, "orderId": placed["orderId"]}
    early = await spot.refusal("GET", "order", **named)
    open_early = await spot.rows("openOrders")
    await spot.account.move_clock(61_000)
    late = await spot.rows("order", **named)

    assert (early[0], open_early, late["status"]) == (-2013, [], "NEW")


FAULTS = {
    "execute-then-drop": (None, 1),
    "execute-then-code:-1007": (408, 1),
    "execute-then-unavailable": (503, 1),
    "drop-before": (None, 0),
    "unavailable": (503, 0),
    "code:-1006": (500, 0),
}


@pytest.mark.parametrize("do", FAULTS)
async def test_the_reply_to_an_order_is_lost_whether_it_was_executed_or_not(
    spot: Trader, do: str
) -> None:
    await spot.sim.arm("POST /api/v3/order", do)
    try:
        seen: int | None = (await spot.place(**spot.resting))[0]
    except ClientConnectionError:
        seen = None

    assert (seen, len(await spot.rows("openOrders"))) == FAULTS[do]
    assert await spot.sim.fired() == [1]


@pytest.mark.parametrize(
    ("do", "seen"), [("unavailable-then-execute:100", 503), ("drop-then-execute:100", None)]
)
async def test_an_order_without_a_result_is_executed_later(
    spot: Trader, do: str, seen: int | None
) -> None:
    async with subscribed(spot.sim, spot.urls) as stream:
        await spot.sim.arm("POST /api/v3/order", do)
        status: int | None = None
        with suppress(ClientConnectionError):
            status, _ = await spot.place(newClientOrderId="late", **spot.resting)
        report = (await stream.receive())["event"]

    assert (status, report["x"], report["c"]) == (seen, "NEW", "late")
    assert await spot.sim.fired() == [1]


async def test_a_delayed_transfer_is_announced_without_a_request(spot: Trader) -> None:
    async with subscribed(spot.sim, spot.urls) as stream:
        await spot.account.set(execution_delay_ms=60_000)
        await spot.account.transfer("MAIN_UMFUTURE", "25")
        await spot.account.move_clock(61_000)
        event = (await stream.receive())["event"]

    assert (event["e"], event["d"]) == ("balanceUpdate", "-25.00000000")


async def test_listen_keys_of_spot_are_gone(spot: Trader) -> None:
    async with spot.sim.session.post(
        spot.sim.urls["spot_rest_url"] + "/api/v3/userDataStream"
    ) as response:
        assert response.status == 410
