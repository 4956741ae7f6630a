"""Entries as tables and lines."""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from chimera_s1.app.cli.entries.replies import EntryDetail, EntryRow
from chimera_s1.app.utc_time import format_second, format_utc
from chimera_s1.domain.execution.entries.events import ENDED, EntryStatus

_WIDTH_OF_ALL_COLUMNS = 120
_MONTH_TO_MINUTE = slice(len("2026-"), len("2026-11-26 09:00"))
_STYLES = {
    EntryStatus.UNPROTECTED: "red",
    EntryStatus.FAILED: "red",
    EntryStatus.REJECTED: "red",
    EntryStatus.NEW: "yellow",
    EntryStatus.WORKING: "yellow",
    EntryStatus.PARTIALLY_FILLED: "yellow",
    EntryStatus.FILLED: "yellow",
    EntryStatus.PROTECTED: "green",
    EntryStatus.ARMED: "green",
    EntryStatus.GUARD: "green",
}
_STYLE_OF_STATE = {status.value: style for status, style in _STYLES.items()}


def entry_cells(row: EntryRow) -> tuple[str, ...]:
    return (
        format_utc(row.accepted_at),
        row.entry_id,
        row.venue,
        row.symbol,
        row.side,
        row.state,
        row.filled_qty,
        row.protected_qty,
        row.closed_qty,
        str(row.unprotected_ms),
        row.waiting_for,
        row.message,
    )


def entry_table(rows: Sequence[EntryRow], width: int) -> Table:
    """Fits 80 columns; what comes next only where there is room. Quantities are never cut."""
    wide = width >= _WIDTH_OF_ALL_COLUMNS
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("UTC", no_wrap=True)
    table.add_column("entry", overflow="fold")
    table.add_column("instrument", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("filled", justify="right", no_wrap=True)
    table.add_column("protected", justify="right", no_wrap=True)
    if wide:
        table.add_column("next", overflow="fold")
    for row in rows:
        cells = [
            format_second(row.accepted_at)[_MONTH_TO_MINUTE],
            row.entry_id,
            f"{row.side} {row.venue} {row.symbol}",
            row.state,
            row.filled_qty,
            row.protected_qty,
        ]
        shown = [*cells, row.waiting_for or row.message] if wide else cells
        # As Text: markup in a foreign string stays text.
        table.add_row(*map(Text, shown), style=_STYLE_OF_STATE.get(row.state, "dim"))
    return table


def state_lines(row: EntryRow) -> Iterator[str]:
    """What is entered, and how it stands."""
    yield f"entry {row.entry_id}: {row.side} {row.symbol} on {row.venue}, {row.state}"
    price = f" at {row.avg_price}" if row.avg_price is not None else ""
    dust = f", dust {row.dust}" if row.dust != "0" else ""
    yield (
        f"filled {row.filled_qty}{price}, protected {row.protected_qty}, closed "
        f"{row.closed_qty}{dust}"
    )
    if row.unprotected_ms:
        yield f"a part has been without protection for {row.unprotected_ms} ms"
    if row.message:
        yield row.message


def next_line(row: EntryRow) -> str:
    if row.state in ENDED:
        return "nothing: it has ended"
    return row.waiting_for or "nothing before one of its orders changes"


def timeline_cells(entry: EntryDetail) -> Iterator[tuple[str, str]]:
    """What happened and when; then what is next, and when."""
    if entry.timeline is None:
        yield "", "the service cannot read its store now, so what happened is not shown"
    for row in entry.timeline or ():
        yield format_utc(row.at), row.text
    yield "next", next_line(entry)


def timeline_table(entry: EntryDetail) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for cells in timeline_cells(entry):
        table.add_row(*map(Text, cells))
    return table
