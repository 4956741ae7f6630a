"""An account's income in memory, read with Binance's page rules."""

import random
from collections.abc import Callable
from decimal import Decimal

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ChimeraError, ExchangeRefusedError
from chimera_s1.domain.funding.income import IncomeRow
from chimera_s1.domain.funding.settlement import REGULAR
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS
from chimera_s1.domain.ports.funding_source import (
    AssetPrice,
    Candle,
    IncomePage,
    NoPrice,
    RatePage,
)


class IncomeExchange:
    """Implements `domain.ports.funding_source.FundingSource`; it has no rates.

    Attributes:
        rows: All income that it has published.
        owner: Of the key; None without one.
        prices: By asset, the same in each minute; an asset left out has no market.
        error, price_error: Raised while they are set.
        unusable: Regular rows that cannot be read: time and contract, None if that is unreadable.
        full_pages: Those that were full.
        priced: Asset and minute of each price asked for.
        windows: Start and end of each read of income.
        before_page: Called before each read of income.
        in_order: Pages are ascending by time.
        empty_pages: Reads of income, counted from 1, that have no rows.
    """

    def __init__(self, *, now_ms: int, page_rows: int = 1_000, seed: int = 0) -> None:
        """Rows of one time come in any order, drawn from *seed*."""
        self.now_ms = now_ms
        self.rows: list[IncomeRow] = []
        self.owner: str | None = "live:7"
        self.prices: dict[str, Decimal] = {}
        self.error: ChimeraError | None = None
        self.price_error: ChimeraError | None = None
        self.unusable: dict[int, Symbol | None] = {}
        self.full_pages = 0
        self.priced: list[tuple[str, int]] = []
        self.windows: list[tuple[int, int]] = []
        self.before_page: Callable[[], None] = lambda: None
        self.in_order = True
        self.empty_pages: set[int] = set()
        self._page_rows = page_rows
        self._chance = random.Random(seed)

    async def rates(self, start: int, end: int, symbol: Symbol | None = None) -> RatePage:
        raise NotImplementedError(f"no rates of {symbol} from {start} to {end}")

    async def account(self) -> str | None:
        await checkpoint()
        return self.owner

    async def income(self, start: int, end: int, rate_type: str) -> IncomePage:
        await checkpoint()
        self.before_page()
        self.windows.append((start, end))
        if self.error is not None:
            raise self.error
        if end - start >= 7 * DAY_MS or start < self.now_ms - 90 * DAY_MS or end > self.now_ms:
            raise ExchangeRefusedError(f"-1130 {start} to {end} is no window of this test")
        found = [
            row for row in self.rows if row.rate_type == rate_type and start <= row.time <= end
        ]
        if len(self.windows) in self.empty_pages:
            found = []
        self._chance.shuffle(found)
        found.sort(key=lambda row: row.time, reverse=not self.in_order)
        page = found[: self._page_rows]
        is_full = len(page) == self._page_rows
        self.full_pages += is_full
        bad = self._unusable(start, end, rate_type)
        return IncomePage(
            account=self.owner or "",
            rows=tuple(page),
            unusable=tuple(f"{symbol}: no decimal number" for symbol in bad),
            is_full=is_full,
            unusable_of=None if None in bad else frozenset(filter(None, bad)),
        )

    def _unusable(self, start: int, end: int, rate_type: str) -> list[Symbol | None]:
        if rate_type != REGULAR:
            return []
        return [symbol for time, symbol in self.unusable.items() if start <= time <= end]

    async def usdt_price(self, asset: str, time: int) -> AssetPrice:
        await checkpoint()
        opened = time - time % 60_000
        self.priced.append((asset, opened))
        if self.price_error is not None:
            raise self.price_error
        if asset not in self.prices:
            return NoPrice.NO_MARKET
        price = self.prices[asset]
        return Candle(price, opened) if price else NoPrice.NO_CANDLE
