"""Runs `tail`: reads the newest quotes from their streams into a live table or lines."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import typer
from msgspec import Struct
from rich.console import Group
from rich.live import Live
from rich.table import Table

from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.options import settings_with, state_directory
from chimera_s1.app.cli.shared.output import (
    StatusLine,
    aligned_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.cli.shared.stream_store_location import connected, require_stream_store
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.market.instrument_selection import SymbolFilter
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.ports.quote_reader import PublishedQuote, QuoteReader

REFRESH_MS = 1000
_COLUMNS = ("instrument", "bid", "ask", "mid", "spread bps", "top1 USDT", "age ms", "source")
_LEFT_COLUMNS = frozenset({"instrument", "source"})
_MIN_WIDTHS = {"source": 125, "mid": 100}  # a narrower terminal hides the column
_FRAME_LINES = 6  # the table's own lines, its caption, the line above it
_WIDTHS = (22, 14, 14, 16, 10, 14, 8)


class TailOptions(Struct, frozen=True):
    """What to show; *count* ends after so many lines, 0 never."""

    symbol_filter: SymbolFilter
    redis: str | None
    state_dir: Path | None
    once: bool
    count: int


async def tail_streams(options: TailOptions) -> None:
    """Show quotes until the limit in *options*, or Ctrl-C.

    Raises:
        ConfigurationError: No Redis is named and none runs here, or it refuses the credentials.
        PublisherUnavailableError: Redis does not answer, or has no such stream.
    """
    clock = SystemClock()
    directory = state_directory(options.state_dir, os.environ)
    configured = os.environ.get("S1_REDIS_ADDRESSES", "")
    location = require_stream_store(options.redis, configured, directory)
    settings = settings_with(directory, **location.settings)
    print_status(f"reading {location}")
    async with connected(location, settings) as client:
        reader = RedisQuoteReader(client)
        if options.once:
            _print_once(await _newest(reader, options.symbol_filter), clock.now_ms())
        elif stdout_console().is_terminal:
            await _redraw(reader, options.symbol_filter, clock)
        else:
            await _print_lines(reader, options, clock)


async def _newest(reader: QuoteReader, symbol_filter: SymbolFilter) -> tuple[PublishedQuote, ...]:
    named = tuple(sorted(symbol_filter.named))
    return await reader.newest(await reader.instruments() if symbol_filter.every else named)


def _print_once(quotes: Sequence[PublishedQuote], now_ms: int) -> None:
    if not quotes:
        raise PublisherUnavailableError("this Redis has no quote of these instruments yet")
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(quotes, now_ms, console.width))
        return
    typer.echo(aligned_line(_COLUMNS, _WIDTHS))
    for quote in quotes:
        typer.echo(aligned_line(cells(quote, now_ms), _WIDTHS))


async def _redraw(reader: QuoteReader, symbol_filter: SymbolFilter, clock: SystemClock) -> None:
    console = stdout_console()
    with Live(console=console, auto_refresh=False) as live:
        table: Table | str = "no quote yet"
        async for quotes, last_error in _each_second(reader, symbol_filter, clock):
            caption = last_error
            if quotes:
                shown = quotes[: max(1, console.height - _FRAME_LINES)]
                table = _table(shown, clock.now_ms(), console.width)
                hidden = len(quotes) - len(shown)
                caption = f"{hidden} more do not fit: name the ones to show" if hidden else ""
            live.update(Group(table, caption), refresh=True)


async def _print_lines(reader: QuoteReader, options: TailOptions, clock: SystemClock) -> None:
    progress = StatusLine()
    seen: dict[str, str] = {}
    lines = 0
    typer.echo(aligned_line(_COLUMNS, _WIDTHS))
    async for quotes, last_error in _each_second(reader, options.symbol_filter, clock):
        if last_error:
            progress.show(last_error)
        for quote in quotes:
            name = str(quote.instrument)
            if seen.get(name) == quote.entry_id:
                continue
            seen[name] = quote.entry_id
            typer.echo(aligned_line(cells(quote, clock.now_ms()), _WIDTHS))
            lines += 1
            if lines == options.count:
                return


async def _each_second(
    reader: QuoteReader, symbol_filter: SymbolFilter, clock: SystemClock
) -> AsyncIterator[tuple[Sequence[PublishedQuote], str]]:
    """The newest quotes and no error, or no quotes and the error: Redis may come back."""
    while True:
        try:
            yield await _newest(reader, symbol_filter), ""
        except PublisherUnavailableError as error:
            yield (), f"{error}; retrying"
        await clock.sleep_ms(REFRESH_MS)


def cells(quote: PublishedQuote, now_ms: int) -> tuple[str, ...]:
    """One row of the table."""
    fields = dict(quote.fields)
    return (
        str(quote.instrument),
        fields["bid1"],
        fields["ask1"],
        decimal_text(float(f"{float(fields['mid']):.10g}")),
        f"{float(fields['spread_bps']):.2f}",
        f"{float(fields['top1_usdt']):,.0f}",
        str(now_ms - int(fields["ts"])),
        fields["src"],
    )


def _table(quotes: Sequence[PublishedQuote], now_ms: int, width: int) -> Table:
    hidden = {name for name, at_least in _MIN_WIDTHS.items() if width < at_least}
    shown = [index for index, name in enumerate(_COLUMNS) if name not in hidden]
    table = Table()
    for index in shown:
        name = _COLUMNS[index]
        table.add_column(name, justify="left" if name in _LEFT_COLUMNS else "right", no_wrap=True)
    for quote in quotes:
        row = cells(quote, now_ms)
        table.add_row(*(row[index] for index in shown))
    return table
