"""Entries as the service shows them."""

from msgspec import Struct


class EntryOrderRow(Struct, frozen=True, kw_only=True):
    role: str
    client_order_id: str
    order_id: str
    phase: str
    status: str
    filled_qty: str
    message: str


class EntryRow(Struct, frozen=True, kw_only=True):
    """Times are epoch ms, quantities and prices exact text."""

    entry_id: str
    venue: str
    symbol: str
    side: str
    state: str
    filled_qty: str
    avg_price: str | None
    protected_qty: str
    closed_qty: str
    dust: str
    unprotected_ms: int
    orders: tuple[EntryOrderRow, ...]
    accepted_at: int
    waiting_for: str
    message: str


class EntryRows(Struct, frozen=True):
    entries: tuple[EntryRow, ...]


class TimelineRow(Struct, frozen=True, kw_only=True):
    at: int
    text: str


class EntryDetail(EntryRow, frozen=True, kw_only=True):
    """*timeline* is None where the service cannot read its store now."""

    timeline: tuple[TimelineRow, ...] | None
