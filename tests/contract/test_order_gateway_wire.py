"""Orders and reads of the account on the wire, against a server that replies with any bytes."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
import pytest

from chimera_s1.adapters.binance.account_key import AccountKey
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.adapters.binance.orders.account import BinanceExchangeAccount
from chimera_s1.adapters.binance.orders.gateway import BinanceOrderGateway
from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.execution.account_configuration import (
    AccountConfiguration,
    SymbolConfiguration,
)
from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    Limit,
    Market,
    OcoStop,
    OcoTakeProfit,
    OneWay,
    OrderFamily,
    OrderRef,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
    Stop,
    TakeProfitLimit,
    TimeInForce,
    WorkingType,
    ref_of,
)
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.order_gateway import (
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    RequestAccepted,
    RequestNotSent,
    RequestTurnedAway,
)
from chimera_s1.domain.ports.treasury_gateway import no_obstacle
from tests.contract.gateway_to_raw_http import KEY, SECRET, SIGNED_AT, signature_of
from tests.contract.raw_http_server import (
    RawHttpServer,
    ScriptedReply,
    http_reply,
    raw_http_server,
)
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S
from tests.unit.adapters.binance.orders.order_replies import (
    ALGO_PLACED,
    OCO_PLACED,
    PERP_PLACED,
    SPOT_FULL,
)

BTC = Symbol("BTCUSDT")
MARKET = SpotOrder(
    client_id="s1-e-1", symbol=BTC, side=Side.BUY, body=Market(qty=Decimal("0.0100"))
)
POST_ONLY = PerpOrder(
    client_id="s1-f-1",
    symbol=Symbol("币安人生USDT"),
    side=Side.BUY,
    scope=OneWay(reduce_only=False),
    body=Limit(qty=Decimal("0.01"), price=Decimal("67000.0"), time_in_force=TimeInForce.GTX),
)
STOP = PerpAlgoOrder(
    client_id="s1-sl-1",
    symbol=BTC,
    side=Side.SELL,
    scope=OneWay(reduce_only=True),
    working_type=WorkingType.MARK_PRICE,
    body=Stop(qty=Decimal("0.010"), trigger=Decimal(65_000)),
)
OCO = SpotOco(
    client_id="s1-l-1",
    symbol=BTC,
    side=Side.SELL,
    qty=Decimal("0.01"),
    take_profit=OcoTakeProfit(client_id="s1-l-1-tp", price=Decimal(68_000)),
    stop=OcoStop(client_id="s1-l-1-sl", trigger=Decimal(65_100), limit=Decimal(65_000)),
)
TAIL = f"&recvWindow=2000&timestamp={SIGNED_AT}".encode()


def ok(body: object, *, more: bool = False) -> ScriptedReply:
    after_reply = "next" if more else "close"
    return ScriptedReply(http_reply(200, json.dumps(body).encode()), after_reply=after_reply)


def refused(status: int, code: int, msg: str = "") -> ScriptedReply:
    body = json.dumps({"code": code, "msg": msg}).encode()
    return ScriptedReply(http_reply(status, body), after_reply="next")


@asynccontextmanager
async def connected(
    server: RawHttpServer, *, key: bool = True, budgets: dict[Venue, WeightBudget] | None = None
) -> AsyncIterator[tuple[BinanceOrderGateway, BinanceExchangeAccount]]:
    signer = Signer(Credentials(Secret(KEY), Secret(SECRET)), lambda: SIGNED_AT + 0.4)

    async def account_key() -> AccountKey | None:
        return AccountKey(signer, "test:1") if key else None

    endpoints = {venue: Endpoints(server.url, "") for venue in Venue}
    with anyio.fail_after(TIMEOUT_S):
        async with HttpClient(endpoints, budgets or weight_budgets(ManualClock())) as client:
            yield (
                BinanceOrderGateway(client, account_key),
                BinanceExchangeAccount(client, account_key, lambda _: SIGNED_AT + 0.4),
            )


@pytest.mark.parametrize(
    ("request_", "path", "sent", "reply"),
    [
        (
            MARKET,
            b"/api/v3/order",
            (
                b"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newClientOrderId=s1-e-1"
                b"&newOrderRespType=FULL"
            ),
            SPOT_FULL,
        ),
        (
            OCO,
            b"/api/v3/orderList/oco",
            (
                b"symbol=BTCUSDT&side=SELL&listClientOrderId=s1-l-1&quantity=0.01"
                b"&aboveType=LIMIT_MAKER&aboveClientOrderId=s1-l-1-tp&abovePrice=68000"
                b"&belowType=STOP_LOSS_LIMIT&belowClientOrderId=s1-l-1-sl&belowStopPrice=65100"
                b"&belowPrice=65000&belowTimeInForce=GTC&newOrderRespType=RESULT"
            ),
            OCO_PLACED,
        ),
        (
            POST_ONLY,
            b"/fapi/v1/order",
            (
                b"symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&side=BUY&type=LIMIT&timeInForce=GTX"
                b"&quantity=0.01&price=67000&newClientOrderId=s1-f-1"
            ),
            PERP_PLACED,
        ),
        (
            STOP,
            b"/fapi/v1/algoOrder",
            (
                b"algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&reduceOnly=true&type=STOP_MARKET"
                b"&quantity=0.01&triggerPrice=65000&workingType=MARK_PRICE&clientAlgoId=s1-sl-1"
            ),
            ALGO_PLACED,
        ),
    ],
    ids=["spot", "oco", "perp", "algo"],
)
async def test_an_order_is_posted_once_as_it_was_signed(
    request_: OrderRequest, path: bytes, sent: bytes, reply: object
) -> None:
    async with raw_http_server(ok(reply)) as server, connected(server) as (gateway, _):
        signed = await gateway.sign_order(request_)
        accepted = await gateway.send_order(signed, no_obstacle)
        with pytest.raises(RuntimeError, match="already sent"):
            await gateway.send_order(signed, no_obstacle)

    (request,) = server.requests
    payload, _, signature = request.body.partition(b"&signature=")
    assert (request.target, payload) == (path, sent + TAIL)
    assert signature == signature_of(payload)
    assert signed.request_hash == hashlib.sha256(payload).hexdigest()
    assert (signed.signed_at_ms, signed.recv_window_ms) == (SIGNED_AT, 2_000)
    assert isinstance(accepted, RequestAccepted)
    assert SECRET not in repr(signed)
    assert KEY not in repr(signed)
    assert signature.decode() not in repr(signed)


async def test_a_hedged_order_names_its_position_and_is_never_reduce_only() -> None:
    hedged = PerpAlgoOrder(
        client_id="s1-sl-1",
        symbol=BTC,
        side=Side.SELL,
        scope=Hedged(position_side=HedgeSide.LONG),
        working_type=WorkingType.CONTRACT_PRICE,
        body=TakeProfitLimit(
            qty=Decimal(1),
            trigger=Decimal(70_000),
            price=Decimal(69_900),
            time_in_force=TimeInForce.GTC,
        ),
    )
    async with raw_http_server(ok(ALGO_PLACED)) as server, connected(server) as (gateway, _):
        await gateway.send_order(await gateway.sign_order(hedged), no_obstacle)
    (request,) = server.requests
    assert b"positionSide=LONG&type=TAKE_PROFIT&" in request.body
    assert b"reduceOnly" not in request.body


@pytest.mark.parametrize(
    ("ref", "target"),
    [
        (ref_of(MARKET), b"/api/v3/order?symbol=BTCUSDT&origClientOrderId=s1-e-1"),
        (ref_of(OCO), b"/api/v3/orderList?symbol=BTCUSDT&listClientOrderId=s1-l-1"),
        (
            OrderRef(
                family=OrderFamily.PERP_ORDER, symbol=BTC, client_id="s1-f-1", exchange_id="9"
            ),
            b"/fapi/v1/order?symbol=BTCUSDT&orderId=9",
        ),
        (ref_of(STOP), b"/fapi/v1/algoOrder?clientAlgoId=s1-sl-1"),
    ],
)
async def test_a_cancel_is_sent_once_with_one_id(ref: OrderRef, target: bytes) -> None:
    script = ScriptedReply(http_reply(400, b'{"code":-2011,"msg":"Unknown order sent."}'))
    async with raw_http_server(script) as server, connected(server) as (gateway, _):
        signed = await gateway.sign_cancel(ref)
        missing = await gateway.send_cancel(signed, no_obstacle)
        with pytest.raises(TypeError):
            await gateway.send_order(signed, no_obstacle)

    (request,) = server.requests
    assert request.head.startswith(b"DELETE ")
    assert request.target.partition(b"&signature=")[0] == target + TAIL
    assert missing == OrderNotFound(message="400 -2011 Unknown order sent.")


@pytest.mark.parametrize("after_reply", ["close", "reset"])
async def test_an_order_without_a_reply_has_an_unknown_outcome(after_reply: str) -> None:
    script = ScriptedReply(b"", after_reply=after_reply)
    async with raw_http_server(script) as server, connected(server) as (gateway, _):
        reply = await gateway.send_order(await gateway.sign_order(MARKET), no_obstacle)
    assert isinstance(reply, OutcomeUnknown)
    assert len(server.requests) == 1


async def test_an_obstacle_stops_an_order_before_its_first_byte() -> None:
    async with raw_http_server(ok(SPOT_FULL)) as server, connected(server) as (gateway, _):
        signed = await gateway.sign_order(MARKET)
        reply = await gateway.send_order(signed, lambda: "signed 1.2 s ago")
    assert reply == RequestNotSent(cause="signed 1.2 s ago")
    assert server.requests == []


async def test_orders_count_for_the_order_limits_and_stop_there() -> None:
    """Each leg of a list counts; what finds no room is turned away and not sent. Without a count
    in the replies, half of the limit of 50 may be used.
    """
    budgets = weight_budgets(ManualClock())
    async with (
        raw_http_server(ok(OCO_PLACED)) as server,
        connected(server, budgets=budgets) as (gateway, _),
    ):
        for _ in range(12):
            await gateway.send_order(await gateway.sign_order(OCO), no_obstacle)
        away = await gateway.send_order(await gateway.sign_order(OCO), no_obstacle)
    assert isinstance(away, RequestTurnedAway)
    assert "orders.place needs 2 of spot.orders.10s" in away.cause
    assert len(server.requests) == 12


async def test_without_a_key_nothing_can_be_signed_or_read() -> None:
    async with (
        raw_http_server(ok(SPOT_FULL)) as server,
        connected(server, key=False) as (gateway, account),
    ):
        for call in (
            gateway.sign_order(MARKET),
            gateway.sign_cancel(ref_of(MARKET)),
            gateway.find(ref_of(MARKET)),
            account.positions(),
        ):
            with pytest.raises(ExchangeRefusedError, match="set S1_BINANCE_KEY"):
                await call
    assert server.requests == []


async def test_an_order_list_is_found_with_the_legs_that_queries_show() -> None:
    listed = {name: value for name, value in OCO_PLACED.items() if name != "orderReports"}
    (leg,) = OCO_PLACED["orderReports"]
    script = (ok(listed, more=True), ok(leg, more=True), refused(400, -2013))
    async with raw_http_server(*script) as server, connected(server) as (gateway, _):
        found = await gateway.find(ref_of(OCO))
    assert isinstance(found, OrderFound)
    assert [report.client_id for report in found.reports] == ["s1-l-1", "s1-l-1-sl"]
    assert [request.target.split(b"&recv")[0] for request in server.requests] == [
        b"/api/v3/orderList?origClientOrderId=s1-l-1",
        b"/api/v3/order?symbol=BTCUSDT&orderId=10",
        b"/api/v3/order?symbol=BTCUSDT&orderId=11",
    ]


async def test_only_a_missing_order_is_not_found() -> None:
    """-2026 means archived on spot, and something else on futures."""
    algo = ref_of(STOP)
    script = (
        refused(400, -2013, "Order does not exist."),
        refused(400, -2026),
        refused(400, -2013),
        refused(400, -2026),
        refused(503, -2013),
    )
    async with raw_http_server(*script) as server, connected(server) as (gateway, _):
        for ref in (ref_of(MARKET), ref_of(MARKET), algo):
            assert isinstance(await gateway.find(ref), OrderNotFound)
        for _ in range(2):
            with pytest.raises(ExchangeUnavailableError):
                await gateway.find(algo)
    assert server.requests[2].target.startswith(b"/fapi/v1/algoOrder?clientAlgoId=s1-sl-1&")


async def test_an_order_list_that_does_not_exist_is_not_found() -> None:
    """Binance: -2018 on spot, where it is not the balance (binance-spot-api-docs #43)."""
    missing = refused(400, -2018, "Order list does not exist.")
    async with raw_http_server(missing, missing) as server, connected(server) as (gateway, _):
        assert isinstance(await gateway.find(ref_of(OCO)), OrderNotFound)
        with pytest.raises((ExchangeRefusedError, ExchangeUnavailableError)):
            await gateway.find(ref_of(STOP))


async def test_open_orders_of_both_venues_include_lists_and_algo_orders() -> None:
    listed = {name: value for name, value in OCO_PLACED.items() if name != "orderReports"}
    script = (
        ok([OCO_PLACED["orderReports"][0], {"symbol": "ETHUSDT", "orderId": "x"}], more=True),
        ok([listed], more=True),
        ok([{**PERP_PLACED, "status": "NEW_WORD"}], more=True),
        ok([ALGO_PLACED], more=True),
    )
    async with raw_http_server(*script) as server, connected(server) as (_, account):
        spot, perp = [await account.open_orders(venue) for venue in Venue]
    assert [order.client_id for order in spot.orders] == ["s1-l-1-sl"]
    assert [each.client_id for each in spot.lists] == ["s1-l-1"]
    assert [(order.family, order.status) for order in perp.orders] == [
        (OrderFamily.PERP_ORDER, "NEW_WORD"),
        (OrderFamily.PERP_ALGO, "NEW"),
    ]
    assert spot.read_from_ms == perp.read_from_ms == SIGNED_AT
    assert account.unreadable_rows == 1
    assert [request.target.partition(b"?")[0] for request in server.requests] == [
        b"/api/v3/openOrders",
        b"/api/v3/openOrderList",
        b"/fapi/v1/openOrders",
        b"/fapi/v1/openAlgoOrders",
    ]


async def test_positions_and_balances_are_exact() -> None:
    script = (
        ok(
            [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.010",
              "entryPrice": "67000.5", "updateTime": 7}],
            more=True,
        ),
        ok(
            {"canTrade": True, "balances": [
                {"asset": "BTC", "free": "0.00000001", "locked": "0.10"},
                {"asset": "ETH", "free": "0.00", "locked": "0.00"},
            ]},
            more=True,
        ),
        ok([{"asset": "USDT", "balance": "-1.5", "updateTime": 7}], more=True),
    )  # fmt: skip
    async with raw_http_server(*script) as server, connected(server) as (_, account):
        (position,) = await account.positions()
        (btc,) = await account.balances(Venue.SPOT)
        (usdt,) = await account.balances(Venue.PERP)
    assert (position.qty, position.entry_price) == (Decimal("-0.01"), Decimal("67000.5"))
    assert (btc.wallet, btc.asset, btc.free, btc.locked) == (
        "SPOT",
        "BTC",
        Decimal("0.00000001"),
        Decimal("0.1"),
    )
    assert (usdt.wallet, usdt.free, usdt.locked) == ("FUT", Decimal("-1.5"), Decimal(0))


SPOT_TRADE = {
    "symbol": "BTCUSDT", "id": 28457, "orderId": 28, "orderListId": -1, "price": "4.00000100",
    "qty": "12.00000000", "quoteQty": "48.000012", "commission": "10.10000000",
    "commissionAsset": "BNB", "time": SIGNED_AT, "isBuyer": True, "isMaker": False,
    "isBestMatch": True,
}  # fmt: skip
PERP_TRADE = {
    "buyer": False, "commission": "-0.07819010", "commissionAsset": "USDT", "id": 698759,
    "maker": True, "orderId": 25851813, "price": "7819.01", "qty": "0.002", "quoteQty": "15.63",
    "realizedPnl": "-0.91539999", "side": "SELL", "positionSide": "SHORT", "symbol": "BTCUSDT",
    "time": SIGNED_AT,
}  # fmt: skip


async def test_fills_carry_their_order_and_their_commission() -> None:
    script = (ok([SPOT_TRADE], more=True), ok([PERP_TRADE], more=True))
    async with raw_http_server(*script) as server, connected(server) as (_, account):
        start_ms, end_ms = SIGNED_AT - 1, SIGNED_AT + 1
        (spot,) = await account.fills(Venue.SPOT, BTC, start_ms=start_ms, end_ms=end_ms)
        (perp,) = await account.fills_of_order(Venue.PERP, BTC, "25851813")
    assert (spot.trade_id, spot.order_id, spot.side, spot.maker) == ("28457", "28", "BUY", False)
    assert (spot.commission, spot.commission_asset) == (Decimal("10.1"), "BNB")
    assert (perp.trade_id, perp.side, perp.position_side) == ("698759", "SELL", "SHORT")
    assert (perp.commission, perp.maker) == (Decimal("-0.0781901"), True)
    queries = [request.target.split(b"&recv")[0] for request in server.requests]
    assert queries == [
        b"/api/v3/myTrades?symbol=BTCUSDT&startTime=%d&endTime=%d&limit=1000" % (start_ms, end_ms),
        b"/fapi/v1/userTrades?symbol=BTCUSDT&orderId=25851813&limit=1000",
    ]


async def test_the_configuration_says_what_one_endpoint_refuses_as_unknown() -> None:
    symbols = [
        {"symbol": "BTCUSDT", "marginType": "CROSSED", "isAutoAddMargin": False, "leverage": 21,
         "maxNotionalValue": "1000000"},
        {"symbol": "ETHUSDT", "marginType": "ISOLATED", "leverage": 5, "maxNotionalValue": "INF"},
    ]  # fmt: skip
    script = (
        ok({"canTrade": True, "dualSidePosition": False, "multiAssetsMargin": True}, more=True),
        refused(401, -2015),
        ok(symbols, more=True),
        ok({"canTrade": False, "balances": []}, more=True),
    )
    async with raw_http_server(*script) as server, connected(server) as (_, account):
        read = await account.configuration((BTC,))
    assert read == AccountConfiguration(
        hedge_mode=False,
        multi_assets=True,
        symbols=(
            SymbolConfiguration(
                symbol=BTC, margin_type="CROSSED", leverage=21, notional_max=Decimal(1_000_000)
            ),
        ),
        spot_trading=None,
        futures_trading=None,
        can_trade_spot=False,
        can_trade_futures=True,
    )
