"""Requests about orders as Binance names their parameters.

Sources: SPOT rest-api.md "New order", "New Order list - OCO", "Cancel order", "Cancel Order list";
USD-M "New Order", "Cancel Order", "New Algo Order", "Cancel Algo Order". A futures order is
acknowledged only, so the type of its reply is left at ACK; spot's FULL names the trades.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeAlias, assert_never

from chimera_s1.domain.execution.order_request import (
    AlgoBody,
    Hedged,
    Limit,
    LimitMaker,
    Market,
    MarketForQuote,
    OneWay,
    OrderFamily,
    OrderRef,
    OrderRequest,
    PerpAlgoOrder,
    PerpBody,
    PerpOrder,
    PositionScope,
    Side,
    SpotBody,
    SpotOco,
    SpotOrder,
    Stop,
    StopLimit,
    TakeProfit,
    TakeProfitLimit,
)
from chimera_s1.domain.money import exact_text

PATHS = {
    OrderFamily.SPOT_ORDER: "/api/v3/order",
    OrderFamily.SPOT_LIST: "/api/v3/orderList",
    OrderFamily.PERP_ORDER: "/fapi/v1/order",
    OrderFamily.PERP_ALGO: "/fapi/v1/algoOrder",
}
"""Where an order is cancelled and read, and placed but for a list."""

OCO_PATH = "/api/v3/orderList/oco"

Pairs: TypeAlias = Iterator[tuple[str, str]]


def place_path(family: OrderFamily) -> str:
    return OCO_PATH if family is OrderFamily.SPOT_LIST else PATHS[family]


def place_parameters(request: OrderRequest) -> Pairs:
    """Without the timestamp."""
    match request:
        case SpotOrder():
            yield from _first(request)
            yield from _spot_body(request.body)
            yield from (("newClientOrderId", request.client_id), ("newOrderRespType", "FULL"))
        case SpotOco():
            yield from _first(request)
            yield from _oco(request)
        case PerpOrder():
            yield from _first(request)
            yield from _scope(request.scope)
            yield from _perp_body(request.body)
            yield "newClientOrderId", request.client_id
        case PerpAlgoOrder():
            yield "algoType", "CONDITIONAL"
            yield from _first(request)
            yield from _scope(request.scope)
            yield from _algo_body(request.body)
            yield from (
                ("workingType", request.working_type.value),
                ("clientAlgoId", request.client_id),
            )
        case _:
            assert_never(request)


def cancel_parameters(ref: OrderRef) -> Pairs:
    match ref.family:
        case OrderFamily.SPOT_LIST:
            yield "symbol", ref.symbol
            yield _id(ref, "orderListId", "listClientOrderId")
        case OrderFamily.SPOT_ORDER | OrderFamily.PERP_ORDER | OrderFamily.PERP_ALGO:
            yield from find_parameters(ref)
        case _:
            assert_never(ref.family)


def find_parameters(ref: OrderRef) -> Pairs:
    match ref.family:
        case OrderFamily.SPOT_ORDER | OrderFamily.PERP_ORDER:
            yield "symbol", ref.symbol
            yield _id(ref, "orderId", "origClientOrderId")
        case OrderFamily.SPOT_LIST:
            yield _id(ref, "orderListId", "origClientOrderId")
        case OrderFamily.PERP_ALGO:
            yield _id(ref, "algoId", "clientAlgoId")
        case _:
            assert_never(ref.family)


def _id(ref: OrderRef, exchange_name: str, client_name: str) -> tuple[str, str]:
    """Never both: where they disagree, the exchange refuses the request."""
    if ref.exchange_id:
        return exchange_name, ref.exchange_id
    return client_name, ref.client_id


def _first(request: OrderRequest) -> Pairs:
    yield "symbol", request.symbol
    yield "side", request.side.value


def _spot_body(body: SpotBody) -> Pairs:
    match body:
        case Limit():
            yield from _limit("LIMIT", body)
        case LimitMaker():
            yield "type", "LIMIT_MAKER"
            yield from (_number("quantity", body.qty), _number("price", body.price))
        case Market():
            yield from (("type", "MARKET"), _number("quantity", body.qty))
        case MarketForQuote():
            yield from (("type", "MARKET"), _number("quoteOrderQty", body.quote_qty))
        case Stop():
            yield from _triggered("STOP_LOSS", body, "stopPrice")
        case StopLimit():
            yield from _triggered("STOP_LOSS_LIMIT", body, "stopPrice")
        case TakeProfit():
            yield from _triggered("TAKE_PROFIT", body, "stopPrice")
        case TakeProfitLimit():
            yield from _triggered("TAKE_PROFIT_LIMIT", body, "stopPrice")
        case _:
            assert_never(body)


def _perp_body(body: PerpBody) -> Pairs:
    match body:
        case Limit():
            yield from _limit("LIMIT", body)
        case Market():
            yield from (("type", "MARKET"), _number("quantity", body.qty))
        case _:
            assert_never(body)


def _algo_body(body: AlgoBody) -> Pairs:
    match body:
        case Stop():
            yield from _triggered("STOP_MARKET", body, "triggerPrice")
        case StopLimit():
            yield from _triggered("STOP", body, "triggerPrice")
        case TakeProfit():
            yield from _triggered("TAKE_PROFIT_MARKET", body, "triggerPrice")
        case TakeProfitLimit():
            yield from _triggered("TAKE_PROFIT", body, "triggerPrice")
        case _:
            assert_never(body)


def _limit(kind: str, body: Limit) -> Pairs:
    yield from (("type", kind), ("timeInForce", body.time_in_force.value))
    yield from (_number("quantity", body.qty), _number("price", body.price))


def _triggered(kind: str, body: AlgoBody, trigger_name: str) -> Pairs:
    yield from (("type", kind), _number("quantity", body.qty))
    yield _number(trigger_name, body.trigger)
    if isinstance(body, StopLimit | TakeProfitLimit):
        yield from (("timeInForce", body.time_in_force.value), _number("price", body.price))


def _scope(scope: PositionScope) -> Pairs:
    match scope:
        case OneWay(reduce_only=True):
            yield "reduceOnly", "true"
        case OneWay():
            pass
        case Hedged(position_side=side):
            # Never with reduceOnly: -1106.
            yield "positionSide", side.value
        case _:
            assert_never(scope)


def _oco(request: SpotOco) -> Pairs:
    yield from (("listClientOrderId", request.client_id), _number("quantity", request.qty))
    # A SELL takes profit above and stops below, a BUY the other way round.
    profit, stop = ("above", "below") if request.side is Side.SELL else ("below", "above")
    yield f"{profit}Type", "LIMIT_MAKER"
    yield f"{profit}ClientOrderId", request.take_profit.client_id
    yield _number(f"{profit}Price", request.take_profit.price)
    yield f"{stop}Type", "STOP_LOSS" if request.stop.limit is None else "STOP_LOSS_LIMIT"
    yield f"{stop}ClientOrderId", request.stop.client_id
    yield _number(f"{stop}StopPrice", request.stop.trigger)
    if request.stop.limit is not None:
        yield _number(f"{stop}Price", request.stop.limit)
        yield f"{stop}TimeInForce", "GTC"
    yield "newOrderRespType", "RESULT"


def _number(name: str, value: Decimal) -> tuple[str, str]:
    return name, exact_text(value)
