"""What an entry does next, and how long it has been without protection, by its kind."""

from decimal import localcontext
from typing import assert_never

from chimera_s1.domain.execution.entries.futures_entry import decide_futures
from chimera_s1.domain.execution.entries.futures_holding import holding_of
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec, SpotEntrySpec
from chimera_s1.domain.execution.entries.spot_entry import decide_spot
from chimera_s1.domain.execution.entries.spot_holding import spot_holding
from chimera_s1.domain.execution.entries.spot_picture import exposure_since_ms
from chimera_s1.domain.execution.entries.steps import NextSteps, Situation
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.instruments.order_grid import EXACT_PRECISION


def decide_entry(situation: Situation) -> NextSteps:
    spec = situation.entry.spec
    match spec:
        case FuturesEntrySpec():
            return decide_futures(situation)
        case SpotEntrySpec():
            return decide_spot(situation)
        case _:
            assert_never(spec)


def unprotected_ms(situation: Situation) -> int:
    """How long a part of what is held has been without the protection that it should have; 0 if
    none is.
    """
    order, cancel = situation.orders.entry, situation.entry.cancel
    if order is None or (cancel is not None and cancel.disarm):
        return 0
    since_ms = _exposed_since_ms(situation, order)
    return 0 if since_ms is None else max(0, situation.now_ms - since_ms)


def _exposed_since_ms(situation: Situation, order: TrackedOrder) -> int | None:
    spec = situation.entry.spec
    match spec:
        case FuturesEntrySpec():
            holding = holding_of(order, situation)
            return holding.since_ms if holding.exposed else None
        case SpotEntrySpec():
            with localcontext(prec=EXACT_PRECISION):
                return exposure_since_ms(situation, spot_holding(situation, spec))
        case _:
            assert_never(spec)
