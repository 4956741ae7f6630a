"""Runs `tail`: reads the newest quotes from their streams into a live table or lines."""

import signal
from collections.abc import Sequence
from pathlib import Path

import anyio
from msgspec import Struct
from rich.console import Group
from rich.live import Live
from rich.text import Text

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import (
    StatusLine,
    aligned_line,
    print_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.cli.shared.stream_store_location import (
    connected,
    settings_with_stream_store,
)
from chimera_s1.app.cli.tail.keys import next_key, single_keys
from chimera_s1.app.cli.tail.quote_rows import QuoteRows
from chimera_s1.app.cli.tail.table import HEADINGS, Pages, Row, columns_that_fit, quote_table
from chimera_s1.domain.errors import PublisherUnavailableError
from chimera_s1.domain.market.instrument_selection import SymbolFilter

REFRESH_MS = 1000
_FRAME_LINES = 7  # the table's own lines, two captions, the line above it
_TURNS = {"n": 1, " ": 1, "\x1b[B": 1, "\x1b[6~": 1, "p": -1, "\x1b[A": -1, "\x1b[5~": -1}
"""Pages to turn by key; the last two of each are the arrow and Page Up or Down."""
_WIDTHS = {
    "bid": 14, "ask": 14, "mid": 16, "spread": 10, "top1": 14, "age": 8, "state": 10, "source": 22,
}  # fmt: skip
_INSTRUMENT_WIDTH = 22


class TailOptions(Struct, frozen=True):
    """What to show; *count* ends after so many lines, 0 never."""

    symbol_filter: SymbolFilter
    columns: tuple[str, ...]
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
    settings, location = settings_with_stream_store(options.redis, options.state_dir)
    print_status(f"reading {location}")
    async with connected(location, settings) as client:
        rows = QuoteRows(client, options.symbol_filter, clock)
        if options.once:
            _print_once(await rows.read(), options)
            if rows.trouble:
                print_status(rows.trouble)
        elif stdout_console().is_terminal:
            await _redraw(rows, options, clock)
        else:
            await _print_lines(rows, options, clock)


def _print_once(rows: Sequence[Row], options: TailOptions) -> None:
    if not rows:
        raise PublisherUnavailableError("this Redis has no quote of these instruments yet")
    console = stdout_console()
    if console.is_terminal:
        columns = columns_that_fit(rows, options.columns, console.width)
        console.print(quote_table(rows, columns))
        if hint := _left_out(options.columns, columns):
            console.print(hint)
        return
    print_line(_heading(options.columns))
    for row in rows:
        print_line(_line(row, options.columns))


async def _redraw(rows: QuoteRows, options: TailOptions, clock: SystemClock) -> None:
    pages = Pages()
    console = stdout_console()
    with single_keys() as keys, Live(console=console, auto_refresh=False, screen=False) as live:
        async with anyio.create_task_group() as tasks:
            view = _View(live, pages, options.columns, has_keys=keys)
            tasks.start_soon(_end_on_sigterm, tasks.cancel_scope)
            if keys:
                tasks.start_soon(_follow_keys, view, tasks.cancel_scope)
            while True:
                view.update(await rows.read_or_explain(), rows.trouble)
                await clock.sleep_ms(REFRESH_MS)


class _View:
    """What is on the screen."""

    def __init__(
        self, live: Live, pages: Pages, columns: tuple[str, ...], *, has_keys: bool
    ) -> None:
        self._live = live
        self._pages = pages
        self._columns = columns
        self._has_keys = has_keys
        self._rows: Sequence[Row] = ()
        self._trouble = ""

    def update(self, rows: Sequence[Row], trouble: str) -> None:
        self._rows, self._trouble = rows, trouble
        self._draw()

    def turn(self, by: int) -> None:
        self._pages.turn(by)
        self._draw()

    def _draw(self) -> None:
        console = self._live.console
        if not self._rows:
            self._live.update(Text(self._trouble or "no quote yet"), refresh=True)
            return
        shown, page = self._pages.of(self._rows, max(1, console.height - _FRAME_LINES))
        columns = columns_that_fit(self._rows, self._columns, console.width)
        how = "n: next, p: previous, q: quit" if self._has_keys else "name the ones to show"
        parts = [
            f"{page} ({how})" if page else "",
            self._trouble or _left_out(self._columns, columns),
        ]
        captions = [
            Text(part, overflow="ellipsis", no_wrap=part != self._trouble) for part in parts if part
        ]
        self._live.update(Group(quote_table(shown, columns), *captions), refresh=True)


async def _end_on_sigterm(scope: anyio.CancelScope) -> None:
    """As the key q: the terminal gets its cursor and its echo back."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


async def _follow_keys(view: _View, scope: anyio.CancelScope) -> None:
    while key := await next_key():
        if key == "q":
            scope.cancel()
        elif turn := _TURNS.get(key):
            view.turn(turn)


def _left_out(wanted: Sequence[str], shown: Sequence[str]) -> str:
    left_out = [name for name in wanted if name not in shown]
    return f"no room for {', '.join(left_out)} (--columns)" if left_out else ""


async def _print_lines(rows: QuoteRows, options: TailOptions, clock: SystemClock) -> None:
    progress = StatusLine()
    seen: dict[str, tuple[str, str]] = {}
    lines = 0
    print_line(_heading(options.columns))
    while True:
        found = await rows.read_or_explain()
        if rows.trouble:
            progress.show(rows.trouble)
        for row in found:
            if seen.get(row.instrument) == (shown := (row.entry_id, row.cells["state"])):
                continue
            seen[row.instrument] = shown
            print_line(_line(row, options.columns))
            lines += 1
            if lines == options.count:
                return
        await clock.sleep_ms(REFRESH_MS)


def _heading(columns: Sequence[str]) -> str:
    return _aligned("instrument", columns, [HEADINGS[name] for name in columns])


def _line(row: Row, columns: Sequence[str]) -> str:
    return _aligned(row.instrument, columns, [row.cells[name] for name in columns])


def _aligned(instrument: str, columns: Sequence[str], cells: Sequence[str]) -> str:
    widths = (_INSTRUMENT_WIDTH, *(_WIDTHS[name] for name in columns[:-1]))
    return aligned_line((instrument, *cells), widths)
