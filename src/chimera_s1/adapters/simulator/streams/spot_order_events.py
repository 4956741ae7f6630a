"""Events of spot orders in the forms of the user stream: SPOT user-data-stream.md."""

from typing import Any, assert_never

from chimera_s1.adapters.simulator.account.movements import format_amount_fixed
from chimera_s1.adapters.simulator.matching.cancel_ids import cancel_id
from chimera_s1.adapters.simulator.matching.events import (
    BalanceEvent,
    ListEvent,
    OrderEvent,
    SpotEvent,
)
from chimera_s1.adapters.simulator.matching.records import ZERO, Order, Trade

Event = dict[str, Any]


def user_event(event: SpotEvent, now_ms: int) -> Event:
    """*now_ms* is exchange time."""
    match event:
        case OrderEvent():
            return _execution_report(event, now_ms)
        case ListEvent():
            return _list_status(event, now_ms)
        case BalanceEvent():
            return _account_position(event, now_ms)
        case _:
            assert_never(event)


def _execution_report(event: OrderEvent, now_ms: int) -> Event:
    """In a cancel, `c` is its own client id and `C` that of the order."""
    order, is_cancel = event.order, event.execution == "CANCELED"
    fixed = format_amount_fixed
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": cancel_id(order) if is_cancel else order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": fixed(order.qty),
        "p": fixed(order.price),
        "P": fixed(order.stop_price),
        "F": "0.00000000",
        "g": order.list_id,
        "C": order.client_id if is_cancel else "",
        "x": event.execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        **_last_trade(event.trade, order),
        "T": event.at_ms,
        "t": -1 if event.trade is None else event.trade.trade_id,
        "I": event.number,
        "w": order.is_open and order.is_working,
        "m": event.trade is not None and event.trade.maker,
        "M": False,
        "O": order.created_ms,
        "Z": fixed(order.filled_quote),
        "Y": fixed(ZERO if event.trade is None else event.trade.price * event.trade.qty),
        "Q": fixed(order.quote_qty),
        **({"W": order.working_ms} if order.is_working else {}),
        "V": order.stp_mode,
        **({"eR": order.reason} if order.reason else {}),
    }


def _last_trade(trade: Trade | None, order: Order) -> Event:
    qty, price, fee = (ZERO, ZERO, ZERO) if trade is None else (
        trade.qty, trade.price, trade.commission,
    )  # fmt: skip
    return {
        "l": format_amount_fixed(qty),
        "z": format_amount_fixed(order.filled_qty),
        "L": format_amount_fixed(price),
        "n": "0" if trade is None else format_amount_fixed(fee),
        "N": None if trade is None else trade.commission_asset,
    }


def _list_status(event: ListEvent, now_ms: int) -> Event:
    order_list = event.order_list
    return {
        "e": "listStatus",
        "E": now_ms,
        "s": order_list.symbol,
        "g": order_list.list_id,
        "c": order_list.contingency,
        "l": order_list.status_type,
        "L": order_list.status,
        "r": "NONE",
        "C": order_list.client_id,
        "T": event.at_ms,
        "O": [
            {"s": order_list.symbol, "i": order_id, "c": client_id}
            for order_id, client_id in order_list.legs
        ],
    }


def _account_position(event: BalanceEvent, now_ms: int) -> Event:
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": event.at_ms,
        "B": [
            {
                "a": each.asset,
                "f": format_amount_fixed(each.free),
                "l": format_amount_fixed(each.locked),
            }
            for each in event.balances
        ],
    }
