"""Reads a history of trades completely: every window of a span, every page of a window.

A page starts at the time of the last row of the page before it, so rows come twice and are taken
once. Where a whole page has one single time, the next one starts at a trade id instead. Sources:
SPOT rest-api.md "Account trade list" (24 h between the times), USD-M "Account Trade List" (7 days).
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.execution.reports import FillReport
from chimera_s1.domain.identifiers import Venue

PAGE_ROWS = 1_000
SPAN_MAX_MS = {Venue.SPOT: 86_400_000 - 1, Venue.PERP: 7 * 86_400_000 - 1}
PAGES_MAX = 1_000
"""A million trades of one symbol: more than an account makes in a span that is read at once."""


class TradePage(Struct, frozen=True):
    """*rows* is how many there were, unreadable ones too."""

    fills: tuple[FillReport, ...]
    rows: int

    @property
    def is_last(self) -> bool:
        return self.rows < PAGE_ROWS


ReadPage = Callable[[dict[str, str]], Awaitable[TradePage]]
"""Reads a page with these parameters beside the symbol, oldest trades first."""


async def read_span(
    read: ReadPage, venue: Venue, start_ms: int, end_ms: int
) -> tuple[FillReport, ...]:
    """Every trade from *start_ms* to *end_ms*, both included.

    Raises:
        ExchangeUnavailableError: A page cannot be read, or the pages do not end.
    """
    found: dict[str, FillReport] = {}
    pages = 0
    while start_ms <= end_ms:
        window_end_ms = min(end_ms, start_ms + SPAN_MAX_MS[venue])
        parameters = {"startTime": str(start_ms), "endTime": str(window_end_ms)}
        start_ms = window_end_ms + 1
        while parameters:
            if (pages := pages + 1) > PAGES_MAX:
                raise _endless()
            page = await read(parameters)
            for fill in page.fills:
                if fill.at_ms <= window_end_ms:
                    found[fill.trade_id] = fill
            parameters = _next_in_window(parameters, page, window_end_ms)
    return _ordered(found)


async def read_all(read: ReadPage) -> tuple[FillReport, ...]:
    """Every trade that *read* gives, from one trade id to the next.

    Raises:
        ExchangeUnavailableError: As `read_span`.
    """
    found: dict[str, FillReport] = {}
    parameters: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = await read(parameters)
        found.update((fill.trade_id, fill) for fill in page.fills)
        if page.is_last:
            return _ordered(found)
        parameters = {"fromId": str(_last_id(page) + 1)}
    raise _endless()


def _next_in_window(
    parameters: dict[str, str], page: TradePage, window_end_ms: int
) -> dict[str, str]:
    """Empty after the last page."""
    if page.is_last:
        return {}
    last_id, last_ms = _last_id(page), max(fill.at_ms for fill in page.fills)
    if last_ms > window_end_ms:
        return {}
    if str(last_ms) == parameters.get("startTime") or (
        "fromId" in parameters and min(fill.at_ms for fill in page.fills) == last_ms
    ):
        # The time cannot be combined with an id: the rows tell when the window ends.
        return {"fromId": str(last_id + 1)}
    return {"startTime": str(last_ms), "endTime": str(window_end_ms)}


def _last_id(page: TradePage) -> int:
    """Raises:
    ExchangeUnavailableError: Without one there is no next page.
    """
    ids = [int(fill.trade_id) for fill in page.fills]
    if not ids:
        raise ExchangeUnavailableError("a page of trades has no row that can be read")
    return max(ids)


def _ordered(found: dict[str, FillReport]) -> tuple[FillReport, ...]:
    return tuple(sorted(found.values(), key=lambda fill: (fill.at_ms, int(fill.trade_id))))


def _endless() -> ExchangeUnavailableError:
    return ExchangeUnavailableError(
        f"the trades do not end after {PAGES_MAX} pages of {PAGE_ROWS}; read a shorter span"
    )
