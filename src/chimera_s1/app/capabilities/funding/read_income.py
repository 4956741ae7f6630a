"""Read an account's income over a window, page by page, in bounded memory."""

from itertools import pairwise
from typing import Final

from msgspec import Struct

from chimera_s1.app.capabilities.funding.amounts_read import AmountsRead
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.match_income import REACH_MS
from chimera_s1.domain.funding.settlement import REGULAR, SPECIAL
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_source import FundingSource, IncomePage

PAGES_MAX: Final = 20
"""Of one read, so that its rows fit into memory; the rest of the window is read after them."""


class AccountChangedError(ExchangeUnavailableError):
    """The key was replaced by one of another account while pages were read."""

    code = "funding.account_changed"


class IncomePagingError(ExchangeUnavailableError):
    """Pages contradict each other, so nothing is proven from here on."""

    code = "funding.income_paging"


class FullInstantError(IncomePagingError):
    """One ms has as many rows as a page, so there may be more, which cannot be asked for."""

    code = "funding.full_instant"

    def __init__(self, text: str, time: int) -> None:
        super().__init__(text)
        self.time = time


class IncomeWindow(Struct, frozen=True):
    """All income of the settlements from *start* to *end*, both included.

    Attributes:
        rows: From one reach before *start* to one behind *end*, each once.
        has_unusable: A row cannot be read.
        unusable_of: The contracts of such rows; None: it may be any.
    """

    start: int
    end: int
    rows: tuple[IncomeRow, ...]
    has_unusable: bool
    unusable_of: frozenset[Symbol] | None


class _Rows:
    """The rows of one type so far. A page repeats the rows of its first ms, and replaces them."""

    def __init__(self, through: int) -> None:
        self.through = through
        self.full_instant: int | None = None
        self.rows: list[IncomeRow] = []
        self.unusable: dict[str, None] = {}
        self.unusable_of: frozenset[Symbol] | None = frozenset()

    def add(self, page: IncomePage, start: int) -> None:
        found = (row for row in page.rows if start <= row.time <= self.through)
        self.rows = [*(row for row in self.rows if row.time < start), *found]
        self.unusable |= dict.fromkeys(page.unusable)
        known = self.unusable_of
        if known is not None:
            self.unusable_of = None if page.unusable_of is None else known | page.unusable_of


async def read_window(
    source: FundingSource, read: AmountsRead, start: int, end: int, now_ms: int
) -> IncomeWindow:
    """Both types, of `read.account`. The window ends earlier where it has too many rows.

    Raises:
        ExchangeUnavailableError, ExchangeRefusedError: A page cannot be read.
    """
    found: list[_Rows] = []
    for rate_type in (REGULAR, SPECIAL):
        through = min(end + REACH_MS, now_ms)
        rows = await _read_type(source, read, start - REACH_MS, through, rate_type)
        if rows.through < through:
            end = rows.through - REACH_MS
            if end < start:
                raise _no_progress(rows, rate_type, start)
        found.append(rows)
    unknown = any(rows.unusable_of is None for rows in found)
    return IncomeWindow(
        start,
        end,
        tuple(row for rows in found for row in rows.rows if row.time <= end + REACH_MS),
        any(rows.unusable for rows in found),
        None if unknown else frozenset().union(*(rows.unusable_of or () for rows in found)),
    )


async def _read_type(
    source: FundingSource, read: AmountsRead, start: int, through: int, rate_type: str
) -> _Rows:
    rows = _Rows(through)
    for _ in range(PAGES_MAX):
        page = await source.income(start, through, rate_type)
        read.requests += 1
        if page.account != read.account:
            raise AccountChangedError(
                f"the exchange key is of {page.account} now, no more of {read.account}; the next "
                f"run reads the amounts of that account"
            )
        rows.add(page, start)
        if not page.is_full:
            break
        if defect := _paging_defect(page):
            raise IncomePagingError(f"{rate_type} income from {start}: {defect}")
        if page.rows[-1].time <= start:
            rows.through, rows.full_instant = start - 1, start
            break
        start = page.rows[-1].time
    else:
        rows.through = start - 1
    for text in rows.unusable:
        read.name_unusable(text)
    return rows


def _no_progress(rows: _Rows, rate_type: str, start: int) -> IncomePagingError:
    if rows.full_instant is not None:
        time = rows.full_instant
        text = f"{rate_type} income at {time}: a page is full of this one ms; the hour around it"
        return FullInstantError(f"{text} has no amounts", time)
    return IncomePagingError(
        f"{rate_type} income from {start}: more than {PAGES_MAX} pages of an hour"
    )


def _paging_defect(page: IncomePage) -> str:
    """Why nothing can be said after a full *page*; empty if it can."""
    if not page.rows:
        return "no row of a full page can be read"
    if any(earlier.time > later.time for earlier, later in pairwise(page.rows)):
        return "the rows of a full page are not in the order of time"
    return ""
