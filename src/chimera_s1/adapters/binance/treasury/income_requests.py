"""The futures account's income of type TRANSFER: the second proof."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import pairwise

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance import income
from chimera_s1.adapters.binance.exact_numbers import signed
from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.adapters.binance.treasury.paged_history import split_window
from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError
from chimera_s1.domain.treasury.limits import ASSET
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow

PAGES_MAX = 100
INCOME_TYPE = "TRANSFER"


class IncomeReplyRow(Struct, frozen=True):
    asset: str
    income: str
    incomeType: str  # noqa: N815 (Binance's name)
    time: int


ReadRows = Callable[[ExecutionWindow], Awaitable[tuple[Raw, ...]]]
"""Reads the first rows, at most `income.PAGE_ROWS`, of a window of at most 7 days."""


async def read_income(read_rows: ReadRows, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
    """Every row about USDT in *window*.

    Raises:
        ExchangeUnavailableError: A page is missing, or a row cannot be used: it may be the one that
            contradicts the wallet's history.
    """
    rows = [row for span in split_window(window) for row in await _read_span(read_rows, span)]
    inside = (
        row
        for row in rows
        if row.incomeType == INCOME_TYPE
        and row.asset == ASSET
        and window.start <= row.time <= window.end
    )
    return tuple(IncomeRow(_parse_signed_amount(row.income), row.time) for row in inside)


async def _read_span(read_rows: ReadRows, window_part: ExecutionWindow) -> list[IncomeReplyRow]:
    rows: list[IncomeReplyRow] = []
    start = window_part.start
    for _ in range(PAGES_MAX):
        page = [_decode(row) for row in await read_rows(ExecutionWindow(start, window_part.end))]
        # The page repeats all rows of the last page's latest millisecond.
        rows = [*(row for row in rows if row.time < start), *page]
        if len(page) < income.PAGE_ROWS:
            return rows
        latest = page[-1].time
        if latest == start or any(a.time > b.time for a, b in pairwise(page)):
            break
        start = latest
    raise ExchangeUnavailableError(
        f"futures income: paging failed (rows out of order, more than {income.PAGE_ROWS} rows in "
        f"one ms, or more than {PAGES_MAX} pages)"
    )


def _decode(row: Raw) -> IncomeReplyRow:
    try:
        return msgspec.json.decode(row, type=IncomeReplyRow)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = sanitize(bytes(row).decode(errors="replace"))
        raise ExchangeUnavailableError(f"unusable futures income row {text}: {error}") from error


def _parse_signed_amount(text: str) -> Decimal:
    try:
        return signed("income", text)
    except InvalidValueError as error:
        raise ExchangeUnavailableError(f"futures income: {error}") from error
