"""Reading a paged history whole, although rows move from page to page while it is read.

A row that is added at the front pushes another one over the edge of a page, and one that goes lets
another slip through between two requests. So a reading counts only if it is whole in itself, and
is believed only when the next one finds the same.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError
from chimera_s1.domain.money import usdt
from chimera_s1.domain.treasury.reconciliation import Movement, Window

PAGES_MAX = 100
READINGS_MAX = 6
SPAN_MAX_MS = 7 * 86_400_000 - 1_000
"""The longest window that is asked for at once: "less than 7 days" (sub-account history); for the
wallet's no limit is documented, and 7 days is its default.
"""


class Listed(Struct, frozen=True):
    """A row of a history; without a movement where it is about other money."""

    tran_id: str
    movement: Movement | None


class Page(Struct, frozen=True):
    """A page of a history.

    Attributes:
        total: Rows of all pages, as the exchange said with this one.
    """

    total: int
    rows: tuple[Listed, ...]


ReadPage = Callable[[Window, int], Awaitable[Page]]
"""Reads a page, numbered from 1, of the history over a window of at most `SPAN_MAX_MS`."""


async def read_movements(read_page: ReadPage, window: Window) -> tuple[Movement, ...]:
    """Every movement in *window*, once.

    Raises:
        ExchangeUnavailableError: A page could not be read, or no two readings agreed.
    """
    last: frozenset[Movement] | None = None
    for _ in range(READINGS_MAX):
        rows = await _reading(read_page, window)
        found = None if rows is None else frozenset(_movements(rows, window))
        if found is not None and found == last:
            return tuple(sorted(found, key=lambda movement: (movement.moved_at, movement.tran_id)))
        last = found
    raise ExchangeUnavailableError(
        f"the transfer history changed under way in {READINGS_MAX} readings; it proves nothing"
    )


def spans(window: Window) -> Iterator[Window]:
    """*window* in pieces that may be asked for at once."""
    start = window.start
    while start <= window.end:
        end = min(window.end, start + SPAN_MAX_MS)
        yield Window(start, end)
        start = end + 1


def amount_of(text: str) -> Decimal:
    """The amount of a row of USDT.

    Raises:
        ExchangeUnavailableError: It is none.
    """
    try:
        return usdt(text)
    except InvalidValueError as error:
        raise ExchangeUnavailableError(f"a row of the history: {error}") from error


async def _reading(read_page: ReadPage, window: Window) -> list[Listed] | None:
    """All rows of all pages; None where they cannot be all."""
    rows: list[Listed] = []
    for span in spans(window):
        found = await _rows(read_page, span)
        if found is None:
            return None
        rows += found
    return rows


async def _rows(read_page: ReadPage, span: Window) -> list[Listed] | None:
    first = await read_page(span, 1)
    pages = [first]
    counted = len(first.rows)
    while counted < first.total and pages[-1].rows and len(pages) < PAGES_MAX:
        pages.append(await read_page(span, len(pages) + 1))
        counted += len(pages[-1].rows)
    if counted != first.total or any(page.total != first.total for page in pages):
        return None
    rows = [row for page in pages for row in _once_each(page)]
    # Where a row is on two pages, it has moved, and another one the other way.
    return rows if len({row.tran_id for row in rows}) == len(rows) else None


def _once_each(page: Page) -> list[Listed]:
    once: dict[str, Listed] = {}
    for row in page.rows:
        if once.setdefault(row.tran_id, row) != row:
            raise ExchangeUnavailableError(
                f"the transfer history shows movement {row.tran_id} in two ways"
            )
    return list(once.values())


def _movements(rows: Iterable[Listed], window: Window) -> Iterator[Movement]:
    for movement in (row.movement for row in rows):
        if movement is not None and window.start <= movement.moved_at <= window.end:
            yield movement
