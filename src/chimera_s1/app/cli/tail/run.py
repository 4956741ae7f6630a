"""Tailing: the newest quotes off their streams, as a live table or as lines."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import typer
from msgspec import Struct
from rich.console import Group
from rich.live import Live
from rich.table import Table

from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import StatusLine, print_status, stdout_console
from chimera_s1.app.cli.shared.stream_store_location import connected, require_stream_store
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.market.instrument_selection import SymbolFilter
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.ports.quote_reader import PublishedQuote, QuoteReader

REFRESH_MS = 1000
_COLUMNS = ("instrument", "bid", "ask", "mid", "spread bps", "top1 USDT", "age ms", "source")
_WORDS = frozenset({"instrument", "source"})
_FROM_WIDTH = {"source": 125, "mid": 100}  # columns that a narrower terminal does without
_FRAME_LINES = 6  # the table's own lines, its caption, the note above it
_WIDTHS = (22, 14, 14, 16, 10, 14, 8, 24)


class TailOptions(Struct, frozen=True):
    """What the user asked for.

    Attributes:
        choice: Which instruments.

        redis: Nodes the user named.

        state_dir: Of the demo to read.

        once: One table, then the end.

        count: The end after so many lines; 0 is never.
    """

    choice: SymbolFilter
    redis: str | None
    state_dir: Path
    once: bool
    count: int


async def tail_streams(settings: Settings, options: TailOptions) -> None:
    """Show quotes until the end that *options* name, or Ctrl-C.

    Raises:
        ConfigurationError: No Redis is named and none runs here, or it refuses us.

        PublisherUnavailableError: It does not answer, or has no such stream.
    """
    clock = SystemClock()
    location = require_stream_store(options.redis, settings, options.state_dir)
    print_status(f"reading {location}")
    async with connected(location, settings) as client:
        reader = RedisQuoteReader(client)
        if options.once:
            _print_once(await _newest(reader, options.choice), clock.now_ms())
        elif stdout_console().is_terminal:
            await _redraw(reader, options.choice, clock)
        else:
            await _print_lines(reader, options, clock)


async def _newest(reader: QuoteReader, choice: SymbolFilter) -> tuple[PublishedQuote, ...]:
    wanted = await reader.instruments() if choice.every else tuple(sorted(choice.named))
    return await reader.newest(wanted)


def _print_once(quotes: Sequence[PublishedQuote], now_ms: int) -> None:
    if not quotes:
        raise PublisherUnavailableError("there is no such quote stream in this Redis yet")
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(quotes, now_ms, console.width))
        return
    typer.echo(_line(_COLUMNS))
    for quote in quotes:
        typer.echo(_line(cells(quote, now_ms)))


async def _redraw(reader: QuoteReader, symbol_filter: SymbolFilter, clock: SystemClock) -> None:
    console = stdout_console()
    with Live(console=console, auto_refresh=False) as live:
        table: Table | str = "no quote yet"
        async for quotes, trouble in _each_second(reader, symbol_filter, clock):
            caption = trouble
            if quotes:
                shown = quotes[: max(1, console.height - _FRAME_LINES)]
                table = _table(shown, clock.now_ms(), console.width)
                hidden = len(quotes) - len(shown)
                caption = f"and {hidden} more: name some to see them" if hidden else ""
            live.update(Group(table, caption), refresh=True)


async def _print_lines(reader: QuoteReader, options: TailOptions, clock: SystemClock) -> None:
    progress = StatusLine()
    seen: dict[str, str] = {}
    lines = 0
    typer.echo(_line(_COLUMNS))
    async for quotes, trouble in _each_second(reader, options.choice, clock):
        if trouble:
            progress.show(trouble)
        for quote in quotes:
            name = str(quote.instrument)
            if seen.get(name) == quote.entry_id:
                continue
            seen[name] = quote.entry_id
            typer.echo(_line(cells(quote, clock.now_ms())))
            lines += 1
            if lines == options.count:
                return


async def _each_second(
    reader: QuoteReader, choice: SymbolFilter, clock: SystemClock
) -> AsyncIterator[tuple[Sequence[PublishedQuote], str]]:
    """The newest quotes, or none and what is wrong; a Redis that is away may come back."""
    while True:
        try:
            yield await _newest(reader, choice), ""
        except PublisherUnavailableError as error:
            yield (), f"{error}; trying again"
        await clock.sleep_ms(REFRESH_MS)


def cells(quote: PublishedQuote, now_ms: int) -> tuple[str, ...]:
    """One row: what the entry says, and how old that is."""
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
    hidden = {name for name, at_least in _FROM_WIDTH.items() if width < at_least}
    shown = [index for index, name in enumerate(_COLUMNS) if name not in hidden]
    table = Table()
    for index in shown:
        name = _COLUMNS[index]
        table.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
    for quote in quotes:
        row = cells(quote, now_ms)
        table.add_row(*(row[index] for index in shown))
    return table


def _line(row: Sequence[str]) -> str:
    first, *numbers, last = row
    middle = [text.rjust(width) for text, width in zip(numbers, _WIDTHS[1:-1], strict=True)]
    return "  ".join((first.ljust(_WIDTHS[0]), *middle, last))
