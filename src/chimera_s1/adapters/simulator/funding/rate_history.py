"""What the exchange has published of its funding settlements."""

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple
from zlib import crc32

from msgspec import Struct, structs

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.settlements import (
    LATE_MAX_MS,
    Settlement,
    dividend,
    regular_settlement,
    special_settlement,
)

LAG_MIN_MS, LAG_MAX_MS = 2_000, 8_000


class RowKey(NamedTuple):
    """A settlement, whatever time its row says.

    Attributes:
        due_ms: The full hour.
    """

    symbol: str
    due_ms: int
    rate_type: str


class RowChange(Struct, frozen=True):
    """What a published row says now; None: what it said at first.

    Attributes:
        late_ms: Its time is so long after the full hour.
    """

    rate: str | None = None
    mark_price: str | None = None
    late_ms: int | None = None


class RateHistory:
    """Rows follow from contract and time alone; only what was ordered is kept.

    Attributes:
        lag_ms: Shortest and longest time from a settlement to its row, exchange time. Each row has
            its own.
        coin_margined: Reads without a symbol have rows of COIN-M contracts.
        withheld: Rows that are not published.
        changes: Rows that say something else than at first.
    """

    def __init__(self, market: Market, clock: ScaledClock) -> None:
        self.lag_ms = (LAG_MIN_MS, LAG_MAX_MS)
        self.coin_margined = True
        self.withheld: set[RowKey] = set()
        self.changes: dict[RowKey, RowChange] = {}
        self._specials: dict[str, list[tuple[int, Settlement]]] = {}
        self._market = market
        self._clock = clock

    def add_special(self, market: SymbolMarket, time_ms: int, rate: str) -> Settlement:
        """Another one at the same full hour replaces it."""
        row = special_settlement(market.spec, time_ms, rate)
        kept = self._specials.setdefault(row.symbol, [])
        kept[:] = [each for each in kept if each[1].due_ms != row.due_ms]
        insort(kept, (time_ms, row), key=lambda each: each[0])
        return row

    def specials(self) -> Iterator[Settlement]:
        """Those that were ordered."""
        return (row for rows in self._specials.values() for _, row in rows)

    def first_rows(
        self, start_ms: int, end_ms: int, limit: int, market: SymbolMarket | None = None
    ) -> list[Settlement]:
        """The first published ones from *start_ms*, both times included.

        Without *market*, of all contracts.
        """
        markets = self._markets(market)
        hours = self._hours(markets, end_ms, start_ms)
        rows = chain.from_iterable(self._published_at(due_ms, markets) for due_ms in hours)
        return list(islice((row for row in rows if start_ms <= row.time_ms <= end_ms), limit))

    def last_rows(
        self, end_ms: int, limit: int, market: SymbolMarket | None = None
    ) -> list[Settlement]:
        """The last published ones up to *end_ms*, in the order of their times."""
        markets = self._markets(market)
        found: list[Settlement] = []
        for due_ms in reversed(self._hours(markets, end_ms)):
            rows = [r for r in self._published_at(due_ms, markets) if r.time_ms <= end_ms]
            found[:0] = rows
            if len(found) >= limit:
                break
        return found[-limit:]

    def pending(self, market: SymbolMarket | None = None) -> list[Settlement]:
        """What was settled within the longest lag and is not published; withheld ones excluded."""
        now_ms = self._clock.now_ms()
        hours = _hours(now_ms - self.lag_ms[1] - LATE_MAX_MS, now_ms)
        markets = self._markets(market)
        return [
            row
            for due_ms in hours
            for row in self.settled_at(due_ms, markets)
            if row.time_ms <= now_ms < self._visible_ms(row) and _key(row) not in self.withheld
        ]

    def lag_of(self, name: str) -> int:
        """How long after its settlement the row *name* is published."""
        shortest, longest = self.lag_ms
        return shortest + crc32(name.encode()) % (longest - shortest + 1)

    def settled_at(self, due_ms: int, markets: Sequence[SymbolMarket]) -> list[Settlement]:
        """What belongs to that full hour, by time; published or not, as it was at first."""
        rows: list[Settlement] = []
        for market in markets:
            rows += self._settled(market, due_ms)
        rows.sort(key=_time_of)
        return rows

    def _settled(self, market: SymbolMarket, due_ms: int) -> Iterable[Settlement]:
        ordered = [
            row for _, row in self._specials.get(market.spec.symbol, ()) if row.due_ms == due_ms
        ]
        if not market.funding.settles_at(due_ms):
            return ordered
        regular, paid = regular_settlement(market.spec, due_ms), dividend(market.spec, due_ms)
        return [regular, *ordered] if ordered or paid is None else [regular, paid]

    def _published_at(self, due_ms: int, markets: Sequence[SymbolMarket]) -> list[Settlement]:
        now_ms = self._clock.now_ms()
        rows = [
            self._as_it_is_now(row)
            for row in self.settled_at(due_ms, markets)
            if self._visible_ms(row) <= now_ms and _key(row) not in self.withheld
        ]
        return sorted(rows, key=_time_of) if self.changes else rows

    def _as_it_is_now(self, row: Settlement) -> Settlement:
        change = self.changes.get(_key(row)) if self.changes else None
        if change is None:
            return row
        rate = row.rate if change.rate is None else change.rate
        mark_price = row.mark_price if change.mark_price is None else change.mark_price
        time_ms = row.time_ms if change.late_ms is None else row.due_ms + change.late_ms
        return structs.replace(row, rate=rate, mark_price=mark_price, time_ms=time_ms)

    def _visible_ms(self, row: Settlement) -> int:
        return row.time_ms + self.lag_of(f"{row.due_ms}{row.symbol}{row.rate_type}")

    def _markets(self, market: SymbolMarket | None) -> list[SymbolMarket]:
        if market is not None:
            return [market]
        return [
            each
            for each in self._market.perps_ever_listed()
            if self._begins(each) and (self.coin_margined or each.spec.is_usd_margined)
        ]

    def _hours(self, markets: Sequence[SymbolMarket], end_ms: int, start_ms: int = 0) -> range:
        begins = (begin for each in markets if (begin := self._begins(each)))
        end_ms = min(end_ms, self._clock.now_ms())
        return _hours(max(start_ms, min(begins, default=end_ms)), end_ms)

    def _begins(self, market: SymbolMarket) -> int:
        """Before its first row; 0 without rows."""
        specials = self._specials.get(market.spec.symbol)
        times = [market.funding.first_ms, specials[0][0] if specials else None]
        return min((time_ms for time_ms in times if time_ms is not None), default=0)


def _key(row: Settlement) -> RowKey:
    return RowKey(row.symbol, row.due_ms, row.rate_type)


def _time_of(row: Settlement) -> int:
    return row.time_ms


def _hours(start_ms: int, end_ms: int) -> range:
    """The full hours whose rows may have times between both."""
    return range(start_ms // HOUR_MS * HOUR_MS, end_ms + 1, HOUR_MS)
