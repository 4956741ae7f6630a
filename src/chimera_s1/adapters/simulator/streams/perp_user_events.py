"""Events of the futures desk as the user stream sends them.

Binance, USD-M "User Data Streams": ORDER_TRADE_UPDATE, TRADE_LITE, ALGO_UPDATE, ACCOUNT_UPDATE,
ACCOUNT_CONFIG_UPDATE.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, assert_never

from chimera_s1.adapters.simulator.account.movements import format_amount
from chimera_s1.adapters.simulator.market.mark_prices import mark_and_index_price
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.events import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    OrderEvent,
    PerpEvent,
)
from chimera_s1.adapters.simulator.matching.perp_settings import PerpSettings
from chimera_s1.adapters.simulator.matching.records import AlgoOrder, Balance, Position, Trade
from chimera_s1.domain.identifiers import Venue

Frame = dict[str, Any]

_MARGIN_TYPES = {"CROSSED": "cross", "ISOLATED": "isolated"}


class PerpUserEvents:
    def __init__(self, market: Market, settings: PerpSettings) -> None:
        self._market = market
        self._settings = settings

    def frames(self, event: PerpEvent, now_ms: int) -> Iterator[Frame]:
        """What to send for *event*, in order; a trade has a TRADE_LITE first."""
        times = {"E": now_ms, "T": event.at_ms}
        match event:
            case OrderEvent():
                if event.trade is not None:
                    yield {"e": "TRADE_LITE", **times, **_light_trade(event, event.trade)}
                yield {"e": "ORDER_TRADE_UPDATE", **times, "o": _order(event)}
            case AlgoEvent():
                yield {"e": "ALGO_UPDATE", **times, "o": _algo(event.algo)}
            case AccountEvent():
                yield {"e": "ACCOUNT_UPDATE", **times, "a": self._account(event)}
            case ConfigEvent():
                yield {"e": "ACCOUNT_CONFIG_UPDATE", **times, **_configuration(event)}
            case _:
                assert_never(event)

    def _account(self, event: AccountEvent) -> Frame:
        """A fee for funding a cross position has no `P`."""
        balances = [_balance(each, event.change) for each in event.balances]
        positions = [self._position(each) for each in event.positions]
        return {"m": event.reason, "B": balances, "P": positions}

    def _position(self, position: Position) -> Frame:
        margin_type = self._settings.margin_type(position.symbol)
        return {
            "s": position.symbol,
            "pa": format_amount(position.qty),
            "ep": format_amount(position.entry_price),
            "bep": format_amount(position.entry_price),
            "cr": format_amount(position.realized),
            "up": format_amount(self._unrealized(position)),
            "mt": _MARGIN_TYPES[margin_type],
            "iw": "0",
            "ps": position.side,
            "ma": "USDT",
        }

    def _unrealized(self, position: Position) -> Decimal:
        market = self._market.find(Venue.PERP, position.symbol)
        if market is None or not position.qty:
            return Decimal(0)
        mark_price = Decimal(mark_and_index_price(market)[0])
        return (mark_price - position.entry_price) * position.qty


def _order(event: OrderEvent) -> Frame:
    order, trade = event.order, event.trade
    commission = {} if trade is None else _commission(trade)
    return {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": format_amount(order.qty),
        "p": format_amount(order.price),
        "ap": format_amount(round(order.avg_price, 8)),
        "sp": format_amount(order.stop_price),
        "x": event.execution,
        "X": order.status,
        "i": order.order_id,
        "l": "0" if trade is None else format_amount(trade.qty),
        "z": format_amount(order.filled_qty),
        "L": "0" if trade is None else format_amount(trade.price),
        **commission,
        "T": event.at_ms,
        "t": 0 if trade is None else trade.trade_id,
        "b": "0",
        "a": "0",
        "m": trade is not None and trade.maker,
        "R": order.reduce_only,
        "wt": order.working_type,
        "ot": order.orig_type or order.type,
        "ps": order.position_side,
        "cp": False,
        "pP": order.price_protect,
        "si": 0,
        "ss": 0,
        "rp": "0" if trade is None else format_amount(trade.realized),
        "V": order.stp_mode,
        "pm": "NONE",
        "gtd": order.good_till_ms,
        "er": str(order.reason_code),
    }


def _commission(trade: Trade) -> Frame:
    return {"N": trade.commission_asset, "n": format_amount(trade.commission)}


def _light_trade(event: OrderEvent, trade: Trade) -> Frame:
    order = event.order
    return {
        "s": order.symbol,
        "q": format_amount(order.qty),
        "p": format_amount(order.price),
        "m": trade.maker,
        "c": order.client_id,
        "S": order.side,
        "L": format_amount(trade.price),
        "l": format_amount(trade.qty),
        "t": trade.trade_id,
        "i": order.order_id,
    }


def _algo(algo: AlgoOrder) -> Frame:
    """`ai` is the id of the child, empty until there is one."""
    return {
        "caid": algo.client_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side,
        "ps": algo.position_side,
        "f": algo.time_in_force,
        "q": format_amount(algo.qty),
        "X": algo.status,
        "ai": str(algo.child_id or ""),
        "ap": format(algo.child_price, ".5f"),
        "aq": format(algo.child_qty, ".5f"),
        "act": algo.child_type or "0",
        "tp": format_amount(algo.trigger),
        "p": format_amount(algo.price),
        "V": algo.stp_mode,
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": algo.price_protect,
        "R": algo.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": 0,
        "rm": algo.reason,
    }


def _balance(balance: Balance, change: Decimal) -> Frame:
    amount = format_amount(balance.free)
    return {"a": balance.asset, "wb": amount, "cw": amount, "bc": format_amount(change)}


def _configuration(event: ConfigEvent) -> Frame:
    if event.symbol:
        return {"ac": {"s": event.symbol, "l": event.leverage}}
    return {"ai": {"j": bool(event.multi_assets)}}
