"""Orders, algo orders and trades of the futures as `/fapi` shows them."""

from decimal import Decimal
from typing import Any

from chimera_s1.adapters.simulator.account.movements import format_amount_fixed
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.records import AlgoOrder, Order, Trade

Row = dict[str, Any]


def placed_order(order: Order, spec: SymbolSpec) -> Row:
    """Reply to POST and DELETE: without `avgPrice` and `cumQuote` since 2026-06-30."""
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": price_text(order.price, spec),
        "origQty": quantity_text(order.qty, spec),
        "executedQty": quantity_text(order.filled_qty, spec),
        "cumQty": quantity_text(order.filled_qty, spec),
        **_order_terms(order, spec),
        "updateTime": order.updated_ms,
    }


def queried_order(order: Order, spec: SymbolSpec) -> Row:
    return {
        "orderId": order.order_id,
        "symbol": order.symbol,
        "status": order.status,
        "clientOrderId": order.client_id,
        "price": price_text(order.price, spec),
        "avgPrice": format(order.avg_price, ".5f"),
        "origQty": quantity_text(order.qty, spec),
        "executedQty": quantity_text(order.filled_qty, spec),
        "cumQuote": format(order.filled_quote, ".5f"),
        **_order_terms(order, spec),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
    }


def _order_terms(order: Order, spec: SymbolSpec) -> Row:
    return {
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side,
        "positionSide": order.position_side,
        "stopPrice": price_text(order.stop_price, spec),
        "workingType": order.working_type,
        "priceProtect": order.price_protect,
        "origType": order.orig_type or order.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": order.stp_mode,
        "goodTillDate": order.good_till_ms,
    }


def placed_algo(algo: AlgoOrder, spec: SymbolSpec) -> Row:
    """Reply to POST."""
    return {
        **_algo_terms(algo, spec),
        "activatePrice": "",
        "callbackRate": "",
        **_algo_times(algo),
    }


def queried_algo(algo: AlgoOrder, spec: SymbolSpec) -> Row:
    return {
        **_algo_terms(algo, spec),
        "actualOrderId": str(algo.child_id or ""),
        "actualPrice": price_text(algo.child_price, spec),
        "actualQty": quantity_text(algo.child_qty, spec),
        "actualType": algo.child_type,
        "tpTriggerPrice": price_text(Decimal(0), spec),
        "tpPrice": price_text(Decimal(0), spec),
        "slTriggerPrice": price_text(Decimal(0), spec),
        "slPrice": price_text(Decimal(0), spec),
        "tpOrderType": "",
        **_algo_times(algo),
    }


def _algo_terms(algo: AlgoOrder, spec: SymbolSpec) -> Row:
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": quantity_text(algo.qty, spec),
        "algoStatus": algo.status,
        "triggerPrice": price_text(algo.trigger, spec),
        "price": price_text(algo.price, spec),
        "icebergQuantity": None,
        "selfTradePreventionMode": algo.stp_mode,
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
    }


def _algo_times(algo: AlgoOrder) -> Row:
    return {
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": 0,
    }


def trade_row(trade: Trade, spec: SymbolSpec) -> Row:
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "side": trade.side,
        "price": price_text(trade.price, spec),
        "qty": quantity_text(trade.qty, spec),
        "realizedPnl": format_amount_fixed(trade.realized),
        "quoteQty": format_amount_fixed(trade.price * trade.qty),
        "commission": format_amount_fixed(trade.commission),
        "commissionAsset": trade.commission_asset,
        "time": trade.at_ms,
        "positionSide": trade.position_side,
        "buyer": trade.side == "BUY",
        "maker": trade.maker,
    }


def price_text(price: Decimal, spec: SymbolSpec) -> str:
    """A price off the tick, like a trigger, keeps all its decimals."""
    text = format(price, "f")
    return text if _decimals(text) > spec.price_decimals else format(price, _form(spec))


def quantity_text(quantity: Decimal, spec: SymbolSpec) -> str:
    return format(quantity, f".{spec.quantity_decimals}f")


def _form(spec: SymbolSpec) -> str:
    return f".{spec.price_decimals}f"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))
