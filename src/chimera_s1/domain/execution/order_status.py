"""The exchange's words of orders, as far as they matter to us; an unknown state counts as open."""

from typing import Final

from chimera_s1.domain.execution.order_request import OrderFamily

CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})
ALGO_CLOSED = frozenset({"FINISHED", "CANCELED", "REJECTED", "EXPIRED"})
UNTRIGGERED = frozenset({"CANCELED", "EXPIRED"})
"""Of an algo order that ended so, there is no child."""

LIST_CLOSED = frozenset({"ALL_DONE", "REJECT"})
_CLOSED_OF = {
    OrderFamily.SPOT_ORDER: CLOSED,
    OrderFamily.SPOT_LIST: LIST_CLOSED,
    OrderFamily.PERP_ORDER: CLOSED,
    OrderFamily.PERP_ALGO: ALGO_CLOSED,
}

ACKNOWLEDGED: Final = "NEW"
LIST_ACKNOWLEDGED: Final = "EXECUTING"

_OPEN_RANKS: Final = {
    "PENDING_NEW": 1,
    ACKNOWLEDGED: 2,
    LIST_ACKNOWLEDGED: 2,
    "TRIGGERING": 4,
    "PARTIALLY_FILLED": 4,
    "TRIGGERED": 5,
    "PENDING_CANCEL": 6,
}
_UNKNOWN_RANK: Final = 3
_CLOSED_RANK: Final = 9
_ALL_CLOSED: Final = CLOSED | ALGO_CLOSED | LIST_CLOSED


def is_closed(family: OrderFamily, status: str) -> bool:
    """An unknown state counts as open."""
    return status in _CLOSED_OF[family]


def is_known(status: str) -> bool:
    return status in _ALL_CLOSED or status in _OPEN_RANKS


def rank(status: str) -> int:
    """Of two states with the same time, the later one has the higher rank."""
    return _CLOSED_RANK if status in _ALL_CLOSED else _OPEN_RANKS.get(status, _UNKNOWN_RANK)


KNOWN_TYPES: Final = frozenset(
    {
        "LIMIT",
        "MARKET",
        "LIMIT_MAKER",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
        "STOP",
        "STOP_MARKET",
        "TAKE_PROFIT_MARKET",
        "TRAILING_STOP_MARKET",
        "LIQUIDATION",
    }
)
"""Sources: Binance, SPOT enums.md; USD-M "Common Definition", "Event Order Update"."""

KNOWN_SIDES: Final = frozenset({"BUY", "SELL"})
KNOWN_POSITION_SIDES: Final = frozenset({"", "BOTH", "LONG", "SHORT"})
