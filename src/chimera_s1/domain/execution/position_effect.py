"""Whether an order can open or enlarge a position: only those ask the trading gate.

No mode, kill switch or limit blocks a stop, a close or a cancel.
"""

from enum import StrEnum
from typing import assert_never

from chimera_s1.domain.execution.order_request import (
    Hedged,
    HedgeSide,
    OneWay,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
)


class Purpose(StrEnum):
    """Why an order is placed. On spot the order itself does not show it."""

    ENTRY = "entry"
    EXIT = "exit"


def opens_position(request: OrderRequest, purpose: Purpose) -> bool:
    """On futures the order decides, whatever its purpose; a spot OCO only ends what was opened."""
    match request:
        case SpotOrder():
            return purpose is Purpose.ENTRY
        case SpotOco():
            return False
        case PerpOrder() | PerpAlgoOrder():
            return not _reduces_only(request)
        case _:
            assert_never(request)


def _reduces_only(request: PerpOrder | PerpAlgoOrder) -> bool:
    match request.scope:
        case OneWay(reduce_only=reduce_only):
            return reduce_only
        case Hedged(position_side=position_side):
            closing = Side.SELL if position_side is HedgeSide.LONG else Side.BUY
            return request.side is closing
        case _:
            assert_never(request.scope)
