"""The timeline of an entry: each event of it, of its orders and of their trades, as a sentence."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from msgspec import Struct

from chimera_s1.app.capabilities.execution.entry_text import describe_role
from chimera_s1.app.capabilities.execution.order_text import describe_event
from chimera_s1.app.capabilities.ledger.engine import LedgerEngine
from chimera_s1.domain.execution.entries.book import EntryBook
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.event_records import (
    decode_event,
    entry_stream,
    fill_stream,
    order_stream,
)
from chimera_s1.domain.execution.events import ExecutionEvent, FillEvent, OrderEvent
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ledger.event_data import UnknownEvent

TRADES_MAX: Final = 100
"""Each trade is a read of the store. The orders say how much is filled in any case."""


class TimelineRow(Struct, frozen=True):
    """*at_ms* is when it was recorded, local epoch ms."""

    at_ms: int
    text: str


async def read_timeline(
    engine: LedgerEngine, book: EntryBook, entry_id: str
) -> tuple[TimelineRow, ...]:
    """In order, with the first `TRADES_MAX` trades. Of an entry that has left memory only its own
    events and those of its first order.

    Raises:
        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    streams = set(_streams(book, entry_id))
    commits: dict[int, LedgerEntry] = {}
    for stream in streams:
        commits |= {each.commit.seq: each for each in await engine.read_stream(stream)}
    return tuple(_rows((commits[seq] for seq in sorted(commits)), streams))


def _streams(book: EntryBook, entry_id: str) -> Iterator[str]:
    orders = book.orders_of(entry_id) or (order_id(entry_id, OrderRole.ENTRY),)
    yield entry_stream(entry_id)
    yield from map(order_stream, orders)
    trades = (fill for order in orders for fill in book.fills_of(order))
    yield from (fill_stream(fill.key) for fill in islice(trades, TRADES_MAX))


def _rows(commits: Iterable[LedgerEntry], streams: set[str]) -> Iterator[TimelineRow]:
    for entry in commits:
        for record in entry.commit.events:
            if record.stream in streams:
                yield TimelineRow(entry.commit.at, _sentence(decode_event(record)))


def _sentence(event: ExecutionEvent | UnknownEvent) -> str:
    text = describe_event(event)
    if isinstance(event, OrderEvent | FillEvent) and (role := describe_role(event.client_id)):
        return f"{role}: {text}"
    return text
