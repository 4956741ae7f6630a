"""Attempts to place the orders of an entry: what became of them, and when the next one is due.

Everything follows from the orders in the ledger, so a restart changes nothing.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id, step_of
from chimera_s1.domain.execution.entries.plan import Plan
from chimera_s1.domain.execution.entries.steps import Cancel, LookUp, Situation
from chimera_s1.domain.execution.events import CancelCause, RefusalReason
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.market_close import split_market_close
from chimera_s1.domain.instruments.order_grid import Rounding
from chimera_s1.domain.instruments.order_rules import order_rules

RETRY_MS: Final = 100
RETRY_MAX_MS: Final = 2_000
FAST_RETRIES_MAX: Final = 30
"""Some minute of attempts: an alarm was raised long before."""

SLOW_RETRY_MS: Final = 60_000
_DOUBLINGS_MAX: Final = 5
CANCEL_REPEAT_MS: Final = 2_000
"""A cancel is sent again where its effect has not been seen."""

_UNRESOLVED: Final = frozenset({OrderPhase.PLANNED, OrderPhase.UNKNOWN})
_NOT_PLACED: Final = frozenset({OrderPhase.REFUSED, OrderPhase.NOT_SENT, OrderPhase.ABSENT})
_RETRIED: Final = frozenset(
    {RefusalReason.TURNED_AWAY, RefusalReason.REDUCE_ONLY, RefusalReason.DUPLICATE_ID}
)


def is_unresolved(order: TrackedOrder) -> bool:
    """It may be at the exchange."""
    return order.phase in _UNRESOLVED


def is_not_placed(order: TrackedOrder) -> bool:
    """It is certainly not at the exchange, unless the exchange says otherwise later."""
    return order.phase in _NOT_PLACED


def is_live(order: TrackedOrder) -> bool:
    return order.phase is OrderPhase.ACKNOWLEDGED


def is_refused(order: TrackedOrder) -> bool:
    """For a reason that trying again does not change."""
    return order.phase is OrderPhase.REFUSED and order.refusal not in _RETRIED


def is_awaited(order: TrackedOrder, situation: Situation) -> bool:
    """It may be at the exchange, and no lookup has missed it: nothing takes its place yet."""
    if not is_unresolved(order):
        return False
    return order.client_id in situation.busy or order.client_id not in situation.not_found


def has_failed(order: TrackedOrder) -> bool:
    """It brought nothing, as far as known, and not because it was cancelled here."""
    if order.phase is OrderPhase.CLOSED:
        return not order.filled_qty and not order.cancel_requested_ms
    return is_unresolved(order) or is_not_placed(order)


def failures(attempts: Sequence[TrackedOrder]) -> int:
    """How many of the newest *attempts* have failed, without one that has not in between."""
    for count, order in enumerate(reversed(attempts)):
        if not has_failed(order):
            return count
    return len(attempts)


def retry_ms(attempts: Sequence[TrackedOrder]) -> int:
    """When the next attempt is due, exchange epoch ms: at once after the first failure, then 100,
    200, 400 ms and so on after the newest one was signed, up to 2 s; a minute after a minute of
    failures.
    """
    repeated = failures(attempts) - 1
    if repeated < 1:
        return 0
    if repeated > FAST_RETRIES_MAX:
        return attempts[-1].signed_at_ms + SLOW_RETRY_MS
    # The exponent is bounded: attempts go on for hours.
    wait_ms = RETRY_MS << min(repeated - 1, _DOUBLINGS_MAX)
    return attempts[-1].signed_at_ms + min(wait_ms, RETRY_MAX_MS)


def next_order_id(entry_id: str, role: OrderRole, attempts: Sequence[TrackedOrder]) -> str:
    """One that no order of the role has had; *attempts* are all of the role."""
    numbers = [step.number for order in attempts if (step := step_of(order.client_id))]
    return order_id(entry_id, role, max(numbers, default=0) + 1)


def look_up_unresolved(orders: Iterable[TrackedOrder], situation: Situation, plan: Plan) -> None:
    """Each one once, as soon as its request is over; later lookups are the order service's."""
    for order in orders:
        if not is_awaited(order, situation):
            continue
        if order.client_id in situation.busy:
            plan.wait_for("the exchange's reply")
        else:
            plan.add(LookUp(client_id=order.client_id))


def cancel(order: TrackedOrder, cause: CancelCause, situation: Situation, plan: Plan) -> None:
    """Cancel a live order, again every 2 s until it has ended."""
    if order.client_id in situation.busy:
        plan.wait_for("the exchange's reply to a cancel")
        return
    requested_ms = order.cancel_requested_ms
    if requested_ms and not plan.is_due(requested_ms + CANCEL_REPEAT_MS, "the effect of a cancel"):
        return
    plan.add(Cancel(client_id=order.client_id, cause=order.cancel_cause if requested_ms else cause))


def market_chunks(qty: Decimal, instrument: InstrumentSpec | None) -> tuple[Decimal, ...]:
    """Legal quantities of market orders or stops that add up to *qty*, as far as can be; as it is
    where the rules are not known.
    """
    if instrument is None:
        return (qty,) if qty > 0 else ()
    return tuple(split_market_close(order_rules(instrument), qty).quantities)


def market_dust(qty: Decimal, instrument: InstrumentSpec | None) -> Decimal:
    """The part of *qty* that no market order or stop can end: less than a step or the minimum."""
    if instrument is None:
        return Decimal(0)
    grid = order_rules(instrument).market.quantities
    legal = grid.snap(qty, Rounding.DOWN)
    if legal <= 0 or (grid.minimum is not None and legal < grid.minimum):
        return qty
    return qty - legal
