"""Prints the newest orders of the execution ledger, and the events of one."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.execution.execution_ledger import EXECUTION_LEDGER
from chimera_s1.app.capabilities.execution.list_orders import (
    ListedOrder,
    OrderHistory,
    list_newest_orders,
    read_order_history,
)
from chimera_s1.app.capabilities.execution.order_text import describe_event, describe_terms
from chimera_s1.app.cli.shared.output import (
    print_cells,
    print_json,
    print_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.stores import open_stores
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.printable import escape_unprintable

_WIDTH_OF_ALL_COLUMNS = 120
_LENGTH_UP_TO_SECONDS = 19
_STYLES = {
    OrderPhase.UNKNOWN: "red",
    OrderPhase.PLANNED: "yellow",
    OrderPhase.ACKNOWLEDGED: "yellow",
    OrderPhase.CLOSED: "green",
}


class OrderListRow(Struct, frozen=True, kw_only=True):
    """One order in `ledger orders`; *planned* is ISO 8601 in UTC, *filled* exact decimal text."""

    planned: str
    client_order_id: str
    venue: str
    symbol: str
    side: str
    terms: str
    filled: str
    state: OrderPhase
    status: str
    entry_id: str
    actor: str
    message: str


async def print_orders(settings: Settings, limit: int, only_open: bool, as_json: bool) -> None:
    """Print the newest orders.

    Raises:
        ConfigurationError: There is no ledger.
        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        store = stores.ledger(EXECUTION_LEDGER)
        rows = [_row(each) for each in await list_newest_orders(store, limit, only_open=only_open)]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows)
    if not rows and not as_json:
        print_status("no open orders" if only_open else "no orders")


def print_rows(rows: Sequence[OrderListRow]) -> None:
    """A table in a terminal, else lines with tabs."""
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows, console.width))
        return
    for row in rows:
        print_cells(_cells(row))


async def print_order(settings: Settings, client_id: str) -> None:
    """Print each event of the order.

    Raises:
        ConfigurationError: There is no such order, or no ledger.
        StoreUnavailableError, LedgerDamagedError: It cannot be read.
    """
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        history = await read_order_history(stores.ledger(EXECUTION_LEDGER), client_id)
    if history is None:
        raise ConfigurationError(
            f"the execution ledger has no order {escape_unprintable(client_id)}; chimera-s1 ledger "
            "orders shows the ids"
        )
    for text in history_lines(history):
        print_line(text)


def history_lines(history: OrderHistory) -> Iterator[str]:
    """*history* as text, its columns aligned."""
    order, entries = history.order, history.entries
    width = max(len(escape_unprintable(entry.actor)) for entry in entries)
    seq_width = max(len(str(entry.seq)) for entry in entries)
    request = order.request
    yield (
        f"order {order.client_id}: {request.side.value} {request.symbol} on {order.venue.value}, "
        f"{describe_terms(request)}"
    )
    for entry in entries:
        actor = f"{escape_unprintable(entry.actor):<{width}}"
        text = describe_event(entry.event)
        yield f"{format_utc(entry.at_ms)}  #{entry.seq:<{seq_width}}  {actor}  {text}"
    yield f"now   {_now(order)}"


def _now(order: TrackedOrder) -> str:
    price = f" at {exact_text(order.avg_price)}" if order.avg_price is not None else ""
    status = f" ({order.status})" if order.status else ""
    return f"{order.phase.value}{status}, filled {exact_text(order.filled_qty)}{price}"


def _row(listed: ListedOrder) -> OrderListRow:
    order = listed.order
    newer = "partly written by a newer chimera-s1" if listed.has_unknown_events else ""
    return OrderListRow(
        planned=format_utc(listed.planned_ms),
        client_order_id=order.client_id,
        venue=order.venue.value,
        symbol=order.request.symbol,
        side=order.request.side.value,
        terms=describe_terms(order.request),
        filled=exact_text(order.filled_qty),
        state=order.phase,
        status=escape_unprintable(order.status),
        entry_id=escape_unprintable(order.entry_id),
        actor=escape_unprintable(listed.actor),
        message=escape_unprintable("; ".join(filter(None, (newer, order.message)))),
    )


def _cells(row: OrderListRow) -> tuple[str, ...]:
    return (
        row.planned,
        row.client_order_id,
        row.venue,
        row.symbol,
        row.side,
        row.terms,
        row.filled,
        row.state.value,
        row.status,
        row.entry_id,
        row.actor,
        row.message,
    )


def _table(rows: Sequence[OrderListRow], width: int) -> Table:
    """Time, entry and message only where there is room; ids and quantities are never cut."""
    wide = width >= _WIDTH_OF_ALL_COLUMNS
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    if wide:
        table.add_column("planned, UTC", overflow="fold")
    table.add_column("order", no_wrap=True)
    for name in ("symbol", "terms"):
        table.add_column(name, overflow="fold")
    table.add_column("filled", justify="right", no_wrap=True)
    for name in ("state", *(("entry", "message") if wide else ())):
        table.add_column(name, overflow="fold")
    for row in rows:
        status = f" {row.status}" if row.status else ""
        cells = [
            row.client_order_id,
            f"{row.venue} {row.symbol}",
            f"{row.side} {row.terms}",
            row.filled,
            f"{row.state.value}{status}",
        ]
        planned = row.planned[:_LENGTH_UP_TO_SECONDS].replace("T", " ")
        shown = [planned, *cells, row.entry_id, row.message] if wide else cells
        # As Text: markup in a foreign string stays text.
        table.add_row(*map(Text, shown), style=_STYLES.get(row.state, "dim"))
    return table
