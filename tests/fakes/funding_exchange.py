"""A funding history in memory, read with Binance's page rules."""

import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable

from anyio.lowlevel import checkpoint
from msgspec import Struct

from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.funding.settlement import Settlement, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.ports.funding_source import AssetPrice, IncomePage, NoPrice, RatePage


class PublishedRow(Struct, frozen=True):
    """A settlement, and when the exchange's history has it, epoch ms."""

    row: Settlement
    published_at: int


def _time(published: PublishedRow) -> int:
    return published.row.key.funding_time


class FakeFundingExchange:
    """Implements `domain.ports.funding_source.FundingSource`; income is empty.

    Attributes:
        now_ms: The exchange's time; each read takes `read_ms`.
        requests: So far.
        full_pages: Of them, those that were full.
        outages: The next so many reads raise.
        cut_share: Of reads without a symbol, never two in a row; their replies have half of the
            rows, or none.
        cuts: How many have lost rows.
        one_by_one: Of them, those of one contract at one time.
        before_call: Called before each read.
        unreadable: Contracts whose rows cannot be read.
        unread: How many such rows the pages had.
    """

    def __init__(
        self,
        rows: Iterable[PublishedRow],
        *,
        page_size: int = 1_000,
        now_ms: int = 0,
        seed: int = 0,
    ) -> None:
        """Rows of one time come in any order, drawn from *seed*."""
        self._rows = sorted(rows, key=_time)
        self._page_size = page_size
        self._chance = random.Random(seed)
        self.now_ms = now_ms
        self.read_ms = 300
        self.requests = 0
        self.full_pages = 0
        self.one_by_one = 0
        self.outages = 0
        self.cut_share = 0.0
        self.cuts = 0
        self._cut_last = False
        self.before_call: Callable[[], None] = lambda: None
        self.unreadable: set[Symbol] = set()
        self.unread = 0

    def add(self, row: PublishedRow) -> None:
        insort(self._rows, row, key=_time)

    def remove(self, key: SettlementKey) -> None:
        self._rows = [each for each in self._rows if each.row.key != key]

    def published(self, by_ms: int) -> list[Settlement]:
        """In the order of time."""
        return [each.row for each in self._rows if each.published_at <= by_ms]

    async def rates(self, start: int, end: int, symbol: Symbol | None = None) -> RatePage:
        await checkpoint()
        self.before_call()
        self.requests += 1
        self.one_by_one += start == end
        self.now_ms += self.read_ms
        if self.outages:
            self.outages -= 1
            raise ExchangeUnavailableError("the exchange is away in this test")
        page = self._page(start, end, symbol)
        is_full = len(page) == self._page_size
        if symbol is None:
            self._cut_last = (
                bool(page) and not self._cut_last and self._chance.random() < self.cut_share
            )
            if self._cut_last:
                page, is_full = self._chance.choice([[], page[: len(page) // 2]]), False
                self.cuts += 1
        self.full_pages += is_full
        unreadable = [row for row in page if row.key.symbol in self.unreadable]
        self.unread += len(unreadable)
        return RatePage(
            rows=tuple(row for row in page if row.key.symbol not in self.unreadable),
            unusable=tuple(f"{row.key.symbol}: unreadable" for row in unreadable),
            is_full=is_full,
            unusable_of=frozenset(row.key.symbol for row in unreadable),
        )

    def _page(self, start: int, end: int, symbol: Symbol | None) -> list[Settlement]:
        found: list[Settlement] = []
        for each in self._rows[bisect_left(self._rows, start, key=_time) :]:
            row = each.row
            beyond = len(found) >= self._page_size and row.key[0] > found[-1].key.funding_time
            if row.key.funding_time > end or beyond:
                break
            if each.published_at <= self.now_ms and symbol in {None, row.key.symbol}:
                found.append(row)
        order = {id(row): self._chance.random() for row in found}
        found.sort(key=lambda row: (row.key.funding_time, order[id(row)]))
        return found[: self._page_size]

    async def account(self) -> str | None:
        await checkpoint()
        return None

    async def income(self, start: int, end: int, rate_type: str) -> IncomePage:
        del start, end, rate_type
        await checkpoint()
        return IncomePage("", (), (), is_full=False)

    async def usdt_price(self, asset: str, time: int) -> AssetPrice:
        del asset, time
        await checkpoint()
        return NoPrice.NO_MARKET
