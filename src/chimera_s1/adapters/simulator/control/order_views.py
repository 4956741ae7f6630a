"""Orders, trades and positions as the control plane shows them."""

from decimal import Decimal
from typing import Any

from chimera_s1.adapters.simulator.matching.records import AlgoOrder, Order, Position, Trade

View = dict[str, Any]


def plain(number: Decimal) -> str:
    """Without an exponent and without zeros at the end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def order_view(order: Order) -> View:
    return {
        "venue": order.venue.value,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "qty": plain(order.qty),
        "filled_qty": plain(order.filled_qty),
        "client_id": order.client_id,
        "order_id": order.order_id,
        "algo": False,
        "origin": order.origin.value,
        "price": plain(order.price),
        "stop_price": plain(order.stop_price),
        "avg_price": plain(order.avg_price),
        "reason": order.reason,
        "list_id": order.list_id,
        "algo_id": order.algo_id,
        "position_side": order.position_side,
        "reduce_only": order.reduce_only,
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def algo_view(algo: AlgoOrder) -> View:
    """*order_id* is its algo id; *child_id* is the order it became, 0 until it triggers."""
    return {
        "venue": "perp",
        "symbol": algo.symbol,
        "side": algo.side,
        "type": algo.type,
        "status": algo.status,
        "qty": plain(algo.qty),
        "filled_qty": plain(algo.child_qty),
        "client_id": algo.client_id,
        "order_id": algo.algo_id,
        "algo": True,
        "origin": algo.origin.value,
        "price": plain(algo.price),
        "stop_price": plain(algo.trigger),
        "avg_price": plain(algo.child_price),
        "reason": algo.reason,
        "child_id": algo.child_id,
        "position_side": algo.position_side,
        "reduce_only": algo.reduce_only,
        "created_ms": algo.created_ms,
        "updated_ms": algo.updated_ms,
    }


def trade_view(trade: Trade) -> View:
    return {
        "venue": trade.venue.value,
        "symbol": trade.symbol,
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "client_id": trade.client_id,
        "side": trade.side,
        "qty": plain(trade.qty),
        "price": plain(trade.price),
        "commission": plain(trade.commission),
        "commission_asset": trade.commission_asset,
        "maker": trade.maker,
        "position_side": trade.position_side,
        "realized": plain(trade.realized),
        "at_ms": trade.at_ms,
    }


def position_view(position: Position) -> View:
    return {
        "symbol": position.symbol,
        "side": position.side,
        "qty": plain(position.qty),
        "entry_price": plain(position.entry_price),
    }
