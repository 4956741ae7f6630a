"""What an entry does next, and how long it has been without protection, by its kind."""

from typing import assert_never

from chimera_s1.domain.execution.entries.futures_entry import decide_futures
from chimera_s1.domain.execution.entries.futures_holding import holding_of
from chimera_s1.domain.execution.entries.specs import FuturesEntrySpec, SpotEntrySpec
from chimera_s1.domain.execution.entries.spot_entry import decide_spot
from chimera_s1.domain.execution.entries.steps import NextSteps, Situation


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
    """How long a part of what is held has been without protection; 0 if none is."""
    order, spec = situation.orders.entry, situation.entry.spec
    if order is None or not isinstance(spec, FuturesEntrySpec):
        return 0
    holding = holding_of(order, situation)
    return max(0, situation.now_ms - holding.since_ms) if holding.exposed else 0
