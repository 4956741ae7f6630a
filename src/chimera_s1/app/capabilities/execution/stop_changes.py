"""What an event of a futures stop says to the readers of `risk:sl_arm`."""

from collections.abc import Iterator
from typing import Final, TypeAlias, assert_never

from chimera_s1.app.capabilities.execution.executed_orders import OURS
from chimera_s1.domain.execution.events import (
    CancelRefused,
    CancelRequested,
    ChildOrderUpdated,
    OrderAbsent,
    OrderEnding,
    OrderEvent,
    OrderNotSent,
    OrderPlanned,
    OrderRefused,
    OrderReported,
    OrderUnknown,
    OrderUpdated,
)
from chimera_s1.domain.execution.order_request import PerpAlgoOrder
from chimera_s1.domain.execution.tracked_order import TrackedOrder, evolve
from chimera_s1.domain.ports.order_events import StopChanged, StopState

StopEvent: TypeAlias = OrderReported | OrderRefused | OrderNotSent | OrderAbsent
"""One that may change the state of a stop."""

_CANCELED: Final = frozenset({OrderEnding.CANCELED, OrderEnding.TIMEOUT})
_TRIGGERED: Final = frozenset({"TRIGGERED", "FINISHED"})


def is_stop_event(event: OrderEvent) -> bool:
    match event:
        case OrderUpdated() | ChildOrderUpdated():
            return True
        case OrderRefused() | OrderNotSent() | OrderAbsent():
            return True
        case OrderPlanned() | OrderUnknown() | CancelRequested() | CancelRefused():
            return False
        case _:
            assert_never(event)


def is_cancelled(event: OrderEvent) -> bool:
    return isinstance(event, OrderReported) and event.ends in _CANCELED


def stop_changes(
    event: OrderEvent, before: TrackedOrder, *, replaced: bool, event_id: str, recorded_ms: int
) -> Iterator[StopChanged]:
    """*before* is the stop without *event*; *replaced*: a newer stop of the entry stands. An event
    that says several things gives several entries, with different parts behind its id.
    """
    request = before.request
    if not isinstance(request, PerpAlgoOrder):
        return
    at_ms = event.at_ms if isinstance(event, OrderReported) else recorded_ms
    for state, suffix in _states(event, before, replaced=replaced):
        yield StopChanged(
            at_ms=at_ms,
            source=OURS,
            entry_id=before.entry_id,
            symbol=request.symbol,
            venue=before.venue.value,
            state=state,
            client_algo_id=before.client_id,
            trigger_price=request.body.trigger,
            qty=request.body.qty,
            event_id=event_id + suffix,
        )


def _states(
    event: OrderEvent, before: TrackedOrder, *, replaced: bool
) -> Iterator[tuple[StopState, str]]:
    if not isinstance(event, OrderReported):
        if is_stop_event(event):
            yield StopState.FAILED, ""
        return
    was_triggered = _is_triggered(before)
    # The child may be reported before the stop itself.
    if isinstance(event, OrderUpdated) and event.acknowledges and not was_triggered:
        yield StopState.ARMED, ""
    if not was_triggered and _is_triggered(evolve(before, event)):
        yield StopState.TRIGGERED, "/triggered"
    match event.ends:
        case OrderEnding.CANCELED | OrderEnding.TIMEOUT:
            yield StopState.REPLACED if replaced else StopState.CANCELED, "/end"
        case OrderEnding.EXPIRED | OrderEnding.REJECTED:
            yield StopState.FAILED, "/end"
        case OrderEnding.FILLED | None:
            return
        case _:
            assert_never(event.ends)


def _is_triggered(order: TrackedOrder) -> bool:
    return bool(order.child_id or order.children) or order.status in _TRIGGERED
