"""Spot orders, order lists and trades in REST's forms: SPOT rest-api.md "Trading endpoints"."""

from collections.abc import Iterable
from typing import Any

from chimera_s1.adapters.simulator.account.movements import format_amount_fixed
from chimera_s1.adapters.simulator.matching.cancel_ids import cancel_id
from chimera_s1.adapters.simulator.matching.records import Order, OrderList, Trade

Reply = dict[str, Any]


def placed(order: Order, trades: Iterable[Trade], response: str) -> Reply:
    """*response* is ACK, RESULT or FULL."""
    reply = _acknowledged(order)
    if response == "ACK":
        return reply
    reply |= {**_amounts(order), "workingTime": order.working_ms}
    reply |= {"selfTradePreventionMode": order.stp_mode, **_conditional(order)}
    return reply | {"fills": [_fill(each) for each in trades]} if response == "FULL" else reply


def cancelled(order: Order) -> Reply:
    """`clientOrderId` is the cancel's, `origClientOrderId` the order's."""
    return {
        "symbol": order.symbol,
        "origClientOrderId": order.client_id,
        **_acknowledged(order),
        "clientOrderId": cancel_id(order),
        **_amounts(order),
        "selfTradePreventionMode": order.stp_mode,
        **_conditional(order),
    }


def queried(order: Order) -> Reply:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        **_amounts(order),
        "stopPrice": format_amount_fixed(order.stop_price),
        "icebergQty": "0.00000000",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.is_working,
        "workingTime": order.working_ms,
        "selfTradePreventionMode": order.stp_mode,
        **({"expiryReason": order.reason} if order.reason else {}),
    }


def list_view(order_list: OrderList) -> Reply:
    symbol = order_list.symbol
    return {
        "orderListId": order_list.list_id,
        "contingencyType": order_list.contingency,
        "listStatusType": order_list.status_type,
        "listOrderStatus": order_list.status,
        "listClientOrderId": order_list.client_id,
        "transactionTime": order_list.updated_ms,
        "symbol": symbol,
        "orders": [
            {"symbol": symbol, "orderId": order_id, "clientOrderId": client_id}
            for order_id, client_id in order_list.legs
        ],
    }


def placed_list(order_list: OrderList, legs: Iterable[Order], response: str) -> Reply:
    reports = [placed(leg, (), response) for leg in legs]
    return list_view(order_list) | {"orderReports": reports}


def canceled_list(order_list: OrderList, legs: Iterable[Order]) -> Reply:
    return list_view(order_list) | {"orderReports": [cancelled(leg) for leg in legs]}


def trade_row(trade: Trade) -> Reply:
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": trade.list_id,
        "price": format_amount_fixed(trade.price),
        "qty": format_amount_fixed(trade.qty),
        "quoteQty": format_amount_fixed(trade.price * trade.qty),
        "commission": format_amount_fixed(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def _acknowledged(order: Order) -> Reply:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
    }


def _amounts(order: Order) -> Reply:
    fixed = format_amount_fixed
    return {
        "price": fixed(order.price),
        "origQty": fixed(order.qty),
        "executedQty": fixed(order.filled_qty),
        "origQuoteOrderQty": fixed(order.quote_qty),
        "cummulativeQuoteQty": fixed(order.filled_quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def _conditional(order: Order) -> Reply:
    """Keys that only orders with such a value have."""
    stop = {"stopPrice": format_amount_fixed(order.stop_price)} if order.stop_price else {}
    return stop | ({"expiryReason": order.reason} if order.reason else {})


def _fill(trade: Trade) -> Reply:
    return {
        "price": format_amount_fixed(trade.price),
        "qty": format_amount_fixed(trade.qty),
        "commission": format_amount_fixed(trade.commission),
        "commissionAsset": trade.commission_asset,
        "tradeId": trade.trade_id,
    }
