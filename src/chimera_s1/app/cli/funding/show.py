"""Shows the settlements of one contract: a table, and a chart of its rates."""

import os
from collections.abc import Sequence
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.funding.rate_chart import chart_lines
from chimera_s1.app.cli.funding.service_records import RecordRow, ServiceRecords
from chimera_s1.app.cli.shared.output import (
    print_cells,
    print_json,
    print_status,
    stdout_console,
)
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.utc_time import format_minute, format_utc
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.funding.settlement import REGULAR
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.operations.schedule import DAY_MS

ROWS_SHOWN = 12
WIDTH_MAX = 80

_HOURS_A_YEAR = 8_760


async def print_records(
    settings: Settings, url: str | None, symbol: Symbol, days: int, as_json: bool
) -> None:
    """Print the settlements of the last *days*.

    Raises:
        ConfigurationError: There is no service or no token.
        InvalidValueError: There is no such contract.
        ServiceCallError: The service does not answer, or cannot read its store.
    """
    service = find_service(url, os.environ, settings, scope=Scope.READ)
    start = SystemClock().now_ms() - days * DAY_MS
    async with ServiceRecords(service) as records:
        # To now by the exchange's clock, which may be ahead.
        pages = [page async for page in records.pages(symbol, start)]
    rows = [row for page in pages for row in page.records]
    console = stdout_console()
    if as_json:
        print_json(rows)
    elif console.is_terminal:
        print_for_people(console, rows, pages[-1].verified_through)
    else:
        for row in rows:
            print_cells(_cells(symbol, row))
    if not rows:
        print_status(
            f"{symbol} has no settlement of the last {days} days; see chimera-s1 funding gaps"
        )


def print_for_people(
    console: Console, rows: Sequence[RecordRow], verified_through: int | None
) -> None:
    if not rows:
        return
    console.print(_table(rows[-ROWS_SHOWN:]))
    regular = [row for row in rows if row.rate_type == REGULAR]
    ends = (
        (_minute(regular[0].funding_time), _minute(regular[-1].funding_time))
        if regular
        else ("", "")
    )
    width = min(WIDTH_MAX, console.width)
    for line in chart_lines([row.rate for row in regular], width, ends):
        console.print(Text(line, style="cyan"))
    for line in _summary(rows, verified_through):
        console.print(Text(line))


def _table(rows: Sequence[RecordRow]) -> Table:
    """Fits 80 columns; times are UTC."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("settled, UTC", no_wrap=True)
    for name in ("rate %", "a year %", "est. off bp", "USDT"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in rows:
        cells = (
            _minute(row.funding_time),
            f"{row.rate * 100:.6f}",
            _annualised(row),
            _estimate_off(row),
            "" if row.amount_usdt is None else f"{row.amount_usdt:.4f}",
            _remarks(row),
        )
        # As Text: markup in a foreign string stays text.
        table.add_row(*map(Text, cells), style="yellow" if row.disputed else "")
    return table


def _annualised(row: RecordRow) -> str:
    if row.interval_h is None or row.rate_type != REGULAR:
        return ""
    return f"{row.rate * 100 * _HOURS_A_YEAR / row.interval_h:.2f}"


def _estimate_off(row: RecordRow) -> str:
    """The last estimate minus the realised rate, in basis points."""
    return "" if row.rate_est is None else f"{(row.rate_est - row.rate) * 10_000:.4f}"


def _remarks(row: RecordRow) -> str:
    kind = "" if row.rate_type == REGULAR else row.rate_type
    return " ".join(word for word in (kind, "disputed" if row.disputed else "") if word)


def _summary(rows: Sequence[RecordRow], verified_through: int | None) -> tuple[str, ...]:
    total = sum((row.rate for row in rows), Decimal(0)) * 100
    amounts = [row.amount_usdt for row in rows if row.amount_usdt is not None]
    received = f"; {sum(amounts):.4f} USDT in {len(amounts)} of them" if amounts else ""
    through = "nothing yet" if verified_through is None else _minute(verified_through)
    return (
        f"settlements: {len(rows)}, sum of rates {total:.6f} %{received}",
        f"verified through: {through}",
    )


def _cells(symbol: Symbol, row: RecordRow) -> tuple[str, ...]:
    """Exact values: time, symbol, type, rate, estimate, interval, amount, disputed."""
    return (
        format_utc(row.funding_time),
        symbol,
        row.rate_type,
        exact_text(row.rate),
        _exact(row.rate_est),
        "" if row.interval_h is None else str(row.interval_h),
        _exact(row.amount_usdt),
        "disputed" if row.disputed else "",
    )


def _exact(value: Decimal | None) -> str:
    return "" if value is None else exact_text(value)


def _minute(epoch_ms: int) -> str:
    return format_minute(epoch_ms)[len("2026-") :]
