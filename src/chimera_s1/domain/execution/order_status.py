"""States of orders, as far as they matter to us; an unknown one counts as open."""

from chimera_s1.domain.execution.order_request import OrderFamily

CLOSED = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})
ALGO_CLOSED = frozenset({"FINISHED", "CANCELED", "REJECTED", "EXPIRED"})
LIST_CLOSED = frozenset({"ALL_DONE", "REJECT"})
_CLOSED_OF = {
    OrderFamily.SPOT_ORDER: CLOSED,
    OrderFamily.SPOT_LIST: LIST_CLOSED,
    OrderFamily.PERP_ORDER: CLOSED,
    OrderFamily.PERP_ALGO: ALGO_CLOSED,
}


def is_closed(family: OrderFamily, status: str) -> bool:
    """An unknown state counts as open."""
    return status in _CLOSED_OF[family]
