"""The picture of an entry that callers get, and the alarm that goes with it."""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.events import EntryAlarmed, EntryChanged, EntryStatus
from chimera_s1.domain.execution.entries.plan import Plan
from chimera_s1.domain.execution.entries.steps import Record

ALARM_MS = 10_000
"""So long may a filled quantity be without protection before an alarm."""


class Picture(Struct, frozen=True, kw_only=True):
    """As `EntryChanged`, without its number and time."""

    status: EntryStatus
    filled_qty: Decimal
    avg_price: Decimal | None
    protected_qty: Decimal
    closed_qty: Decimal
    dust: Decimal = Decimal(0)
    message: str = ""


def record_picture(entry: Entry, picture: Picture, plan: Plan) -> None:
    """Add the record of *picture* if it differs from the last one; call it last."""
    last = entry.picture
    if last is not None and picture == _picture_of(last):
        return
    changed = EntryChanged(
        entry_id=entry.entry_id,
        at_ms=plan.now_ms,
        number=1 if last is None else last.number + 1,
        status=picture.status,
        filled_qty=picture.filled_qty,
        avg_price=picture.avg_price,
        protected_qty=picture.protected_qty,
        closed_qty=picture.closed_qty,
        dust=picture.dust,
        message=picture.message,
    )
    plan.add(Record(event=changed))


def is_alarmed(entry: Entry, since_ms: int) -> bool:
    """The exposure since *since_ms* has had its alarm."""
    return bool(entry.alarmed_ms) and entry.alarmed_ms >= since_ms


def record_alarm(
    entry: Entry, qty: Decimal, since_ms: int, cause: str, plan: Plan, *, at_once: bool = False
) -> None:
    """Add the alarm for *qty* unprotected since *since_ms*: once, after 10 s or *at_once*."""
    if is_alarmed(entry, since_ms):
        return
    if not at_once and not plan.is_due(since_ms + ALARM_MS, "protection"):
        return
    alarmed = EntryAlarmed(
        entry_id=entry.entry_id, at_ms=plan.now_ms, qty=qty, since_ms=since_ms, cause=cause
    )
    plan.add(Record(event=alarmed))


def _picture_of(changed: EntryChanged) -> Picture:
    return Picture(
        status=changed.status,
        filled_qty=changed.filled_qty,
        avg_price=changed.avg_price,
        protected_qty=changed.protected_qty,
        closed_qty=changed.closed_qty,
        dust=changed.dust,
        message=changed.message,
    )
