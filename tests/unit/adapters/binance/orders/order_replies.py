"""Replies about orders as Binance documents them, and the orders that they are about."""

import json
from typing import Any

import httpx2

from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRef
from chimera_s1.domain.identifiers import Symbol

BTC = Symbol("BTCUSDT")
SPOT = OrderRef(family=OrderFamily.SPOT_ORDER, symbol=BTC, client_id="s1-e-1")
OCO = OrderRef(family=OrderFamily.SPOT_LIST, symbol=BTC, client_id="s1-l-1")
PERP = OrderRef(family=OrderFamily.PERP_ORDER, symbol=BTC, client_id="s1-f-1")
ALGO = OrderRef(family=OrderFamily.PERP_ALGO, symbol=BTC, client_id="s1-sl-1")
ALL = (SPOT, OCO, PERP, ALGO)

SPOT_FULL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "s1-e-1",
    "transactTime": 1772725176595,
    "price": "0.00000000",
    "origQty": "0.01000000",
    "executedQty": "0.01000000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "670.10000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "BUY",
    "workingTime": 1772725176595,
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "fills": [
        {
            "price": "67010.00000000",
            "qty": "0.01000000",
            "commission": "0.00001000",
            "commissionAsset": "BTC",
            "tradeId": 56,
        }
    ],
}
SPOT_CANCELLED = {
    **{key: value for key, value in SPOT_FULL.items() if key != "fills"},
    "clientOrderId": "the-id-of-the-cancel",
    "origClientOrderId": "s1-e-1",
    "status": "CANCELED",
}
OCO_PLACED: dict[str, Any] = {
    "orderListId": 1,
    "contingencyType": "OCO",
    "listStatusType": "EXEC_STARTED",
    "listOrderStatus": "EXECUTING",
    "listClientOrderId": "s1-l-1",
    "transactionTime": 1772485608839,
    "symbol": "BTCUSDT",
    "orders": [
        {"symbol": "BTCUSDT", "orderId": 10, "clientOrderId": "s1-l-1-sl"},
        {"symbol": "BTCUSDT", "orderId": 11, "clientOrderId": "s1-l-1-tp"},
    ],
    "orderReports": [
        {
            "symbol": "BTCUSDT",
            "orderId": 10,
            "orderListId": 1,
            "clientOrderId": "s1-l-1-sl",
            "transactTime": 1772485608839,
            "price": "65000.00",
            "origQty": "0.01",
            "executedQty": "0.00",
            "origQuoteOrderQty": "0.00",
            "cummulativeQuoteQty": "0.00",
            "status": "NEW",
            "timeInForce": "GTC",
            "type": "STOP_LOSS_LIMIT",
            "side": "SELL",
            "stopPrice": "65100.00",
            "workingTime": -1,
            "selfTradePreventionMode": "NONE",
        },
    ],
}
PERP_PLACED: dict[str, Any] = {
    "clientOrderId": "s1-f-1",
    "cumQty": "0",
    "executedQty": "0",
    "orderId": 22542179,
    "origQty": "0.010",
    "price": "67000.0",
    "reduceOnly": False,
    "side": "BUY",
    "positionSide": "BOTH",
    "status": "NEW",
    "stopPrice": "0",
    "closePosition": False,
    "symbol": "BTCUSDT",
    "timeInForce": "GTX",
    "type": "LIMIT",
    "origType": "LIMIT",
    "updateTime": 1772818724722,
    "workingType": "CONTRACT_PRICE",
    "priceProtect": False,
    "priceMatch": "NONE",
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "goodTillDate": 0,
}
ALGO_PLACED: dict[str, Any] = {
    "algoId": 2146760,
    "clientAlgoId": "s1-sl-1",
    "algoType": "CONDITIONAL",
    "orderType": "STOP_MARKET",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "positionSide": "BOTH",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "algoStatus": "NEW",
    "triggerPrice": "65000.0",
    "price": "0.0",
    "icebergQuantity": None,
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "workingType": "MARK_PRICE",
    "priceMatch": "NONE",
    "closePosition": False,
    "priceProtect": False,
    "reduceOnly": True,
    "activatePrice": "",
    "callbackRate": "",
    "createTime": 1772485492076,
    "updateTime": 1772485492076,
    "triggerTime": 0,
    "goodTillDate": 0,
}
ALGO_CANCELLED = {"algoId": 2146760, "clientAlgoId": "s1-sl-1", "code": "200", "msg": "success"}


def reply(status: int, body: object, **headers: str) -> HttpReply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status, httpx2.Headers(named), content)


def error(status: int, code: int, msg: str = "", **headers: str) -> HttpReply:
    return reply(status, {"code": code, "msg": msg}, **headers)
