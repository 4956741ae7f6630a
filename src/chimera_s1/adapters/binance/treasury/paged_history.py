"""Reads a paged history completely, although rows move between pages while it is read.

A row added at the front pushes another one to the next page; a row that disappears lets another one
slip to a page already read. So a pass counts only if it is complete, and the result is used only of
a pass that shows every row of the one before it, unchanged. New rows are no contradiction: an
account that moves money all the time adds them between any two passes.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError
from chimera_s1.domain.ports.treasury_gateway import HistoryIncompleteError
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement

PAGES_MAX = 100
PASSES_MAX = 6
SPAN_MAX_MS = 7 * 86_400_000 - 1_000
"""The longest window of one request: "less than 7 days" (sub-account history); the wallet's history
documents no limit, and 7 days is its default.
"""


class HistoryRow(Struct, frozen=True):
    """`movement` is None where the row is about another asset or account, and where it cannot be
    used; then *unusable* says why.
    """

    tran_id: str
    movement: Movement | None
    unusable: str = ""


class HistoryPage(Struct, frozen=True):
    """`total` counts the rows of all pages, as reported with this one."""

    total: int
    rows: tuple[HistoryRow, ...]


ReadPage = Callable[[ExecutionWindow, int], Awaitable[HistoryPage]]
"""Reads a page, numbered from 1, of the history over a window of at most `SPAN_MAX_MS`."""


async def read_movements(read_page: ReadPage, window: ExecutionWindow) -> tuple[Movement, ...]:
    """Every movement in *window*, once.

    Raises:
        HistoryIncompleteError: A row cannot be used; the error has the movements of the others.
        ExchangeUnavailableError: A page could not be read, or no two passes agreed.
    """
    previous: frozenset[HistoryRow] | None = None
    for _ in range(PASSES_MAX):
        rows = await _read_pass(read_page, window)
        found = None if rows is None else frozenset(_rows_in(rows, window))
        if found is not None and previous is not None and found >= previous:
            return _movements_of(found)
        previous = found
    raise ExchangeUnavailableError(
        f"the transfer history kept changing during {PASSES_MAX} passes; no conclusion possible"
    )


def split_window(window: ExecutionWindow) -> Iterator[ExecutionWindow]:
    """*window* in parts of at most `SPAN_MAX_MS`."""
    start = window.start
    while start <= window.end:
        end = min(window.end, start + SPAN_MAX_MS)
        yield ExecutionWindow(start, end)
        start = end + 1


def read_row(row: Raw, parse: Callable[[Raw], HistoryRow]) -> HistoryRow:
    """What *parse* makes of *row*; it raises a msgspec error or `InvalidValueError`."""
    try:
        return parse(row)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidValueError) as error:
        text = sanitize(bytes(row).decode(errors="replace"))
        return HistoryRow(text, None, f"{text}: {error}")


async def _read_pass(read_page: ReadPage, window: ExecutionWindow) -> list[HistoryRow] | None:
    """All rows of all pages; None where the pages do not fit together."""
    rows: list[HistoryRow] = []
    for span in split_window(window):
        found = await _read_span(read_page, span)
        if found is None:
            return None
        rows += found
    return rows


async def _read_span(read_page: ReadPage, window_part: ExecutionWindow) -> list[HistoryRow] | None:
    first = await read_page(window_part, 1)
    pages = [first]
    counted = len(first.rows)
    while counted < first.total and pages[-1].rows and len(pages) < PAGES_MAX:
        pages.append(await read_page(window_part, len(pages) + 1))
        counted += len(pages[-1].rows)
    if counted != first.total or any(page.total != first.total for page in pages):
        return None
    rows = [row for page in pages for row in _distinct_rows(page)]
    # A row on two pages has moved while it was read, so another one may have been missed.
    return rows if len({row.tran_id for row in rows}) == len(rows) else None


def _distinct_rows(page: HistoryPage) -> list[HistoryRow]:
    once: dict[str, HistoryRow] = {}
    for row in page.rows:
        if once.setdefault(row.tran_id, row) != row:
            raise ExchangeUnavailableError(
                f"the transfer history has two different rows for movement {row.tran_id}"
            )
    return list(once.values())


def _rows_in(rows: Iterable[HistoryRow], window: ExecutionWindow) -> Iterator[HistoryRow]:
    for row in rows:
        if row.unusable or (
            row.movement is not None and window.start <= row.movement.moved_at <= window.end
        ):
            yield row


def _movements_of(rows: Iterable[HistoryRow]) -> tuple[Movement, ...]:
    found = [row.movement for row in rows if row.movement is not None]
    found.sort(key=lambda movement: (movement.moved_at, movement.tran_id))
    unusable = sorted(row.unusable for row in rows if row.unusable)
    if unusable:
        raise HistoryIncompleteError(
            f"{len(unusable)} of {len(unusable) + len(found)} rows of the transfer history cannot "
            f"be used, so no transfer can be called FAILED; the first is {unusable[0]}",
            tuple(found),
        )
    return tuple(found)
