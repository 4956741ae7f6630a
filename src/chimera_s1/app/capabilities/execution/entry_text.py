"""The events of an entry, a sentence each."""

from typing import assert_never

from chimera_s1.domain.execution.entries.events import (
    EntryAccepted,
    EntryAlarmed,
    EntryCancelRequested,
    EntryChanged,
    EntryEvent,
    EntryGuarded,
    EntryReduced,
    GuardTriggered,
)
from chimera_s1.domain.execution.entries.order_ids import OrderRole, step_of
from chimera_s1.domain.execution.entries.specs import (
    BaseQty,
    EntrySpec,
    FuturesEntrySpec,
    QuoteAmount,
    SpotAmount,
    SpotEntrySpec,
)
from chimera_s1.domain.money import exact_text

_ROLES = {
    OrderRole.ENTRY: "entry order",
    OrderRole.STOP: "stop",
    OrderRole.CLOSE: "close",
    OrderRole.OCO: "OCO",
    OrderRole.TAKE_PROFIT: "take profit",
    OrderRole.STOP_LEG: "stop",
    OrderRole.EXIT: "guard's exit",
}


def describe_entry_event(event: EntryEvent) -> str:  # noqa: PLR0911 (one case a kind of event)
    match event:
        case EntryAccepted(spec=spec):
            return f"accepted: {describe_spec(spec)}"
        case EntryCancelRequested(disarm=disarm):
            return f"cancel requested by {event.actor}{', with its protection' if disarm else ''}"
        case EntryAlarmed():
            return f"alarm: {exact_text(event.qty)} is not protected: {event.cause}"
        case EntryReduced():
            return f"{exact_text(event.qty)} was closed by others"
        case EntryGuarded(cause=cause):
            return f"guarded by this service instead of an OCO: {cause}"
        case GuardTriggered(leg=leg):
            return f"guard triggered its {leg.value} at {exact_text(event.price)}"
        case EntryChanged():
            return _picture(event)
        case _:
            assert_never(event)


def describe_role(client_id: str) -> str:
    """`entry order`, `stop 2`: which order of its entry it is; empty for no order of an entry."""
    step = step_of(client_id)
    if step is None:
        return ""
    role = _ROLES[step.role]
    return role if step.role is OrderRole.ENTRY else f"{role} {step.number}"


def describe_spec(spec: EntrySpec) -> str:
    match spec:
        case FuturesEntrySpec():
            return (
                f"{spec.side.value} {exact_text(spec.qty)} {spec.symbol} at "
                f"{exact_text(spec.limit_price)}, stop {exact_text(spec.stop_price)}, "
                f"timeout {spec.timeout_ms} ms"
            )
        case SpotEntrySpec():
            return (
                f"{spec.side.value} {_amount(spec.amount)} of {spec.symbol} at market, "
                f"take profit {exact_text(spec.tp_price)}, stop {exact_text(spec.sl_trigger_price)}"
            )
        case _:
            assert_never(spec)


def _amount(amount: SpotAmount) -> str:
    match amount:
        case BaseQty(qty=qty):
            return exact_text(qty)
        case QuoteAmount(usdt=usdt):
            return f"{exact_text(usdt)} USDT"
        case _:
            assert_never(amount)


def _picture(event: EntryChanged) -> str:
    text = f"{event.status.value}: filled {exact_text(event.filled_qty)}"
    if event.avg_price is not None:
        text += f" at {exact_text(event.avg_price)}"
    text += f", protected {exact_text(event.protected_qty)}, closed {exact_text(event.closed_qty)}"
    if event.dust:
        text += f", dust {exact_text(event.dust)}"
    return f"{text}; {event.message}" if event.message else text
