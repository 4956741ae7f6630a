"""Reading a window of the exchange's history page by page, without losing a row.

A page has the first rows of its window, ascending by time, at most a fixed number. Many contracts
settle at one time, so the rows of a full page's last time may continue on the next page: they are
left to it, and it starts *at* that time. Where one time alone fills a page, the contracts are read
one by one for that time; then reading goes on 1 ms later.

A reply that was cut short looks like the last page. So a window ends only where two pages in a row
end with the same rows, the second one read from the last row on; and a row that one page has is a
row. Where that second read is not worth a request, what is before the last row is complete.
"""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct

from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.funding.settlement import Settlement
from chimera_s1.domain.identifiers import Symbol

PAGES_MAX: Final = 10_000
"""Of one window, reads of a single time left out. 90 days of 930 contracts are about 500."""


REPEATS_MAX: Final = 10
"""Of one read whose pages differ each time."""


class HistoryPageError(ExchangeUnavailableError):
    """A page contradicts its request or itself, so nothing is proven from its start on."""

    code = "funding.page"


class HistoryRead(Struct, frozen=True):
    """The next request; both times included. Without *symbol*, of all contracts."""

    start: int
    end: int
    symbol: Symbol | None = None


class HistoryBatch(Struct, frozen=True):
    """All published rows from *start* to *complete_to*, both included.

    Attributes:
        end: Of what was read. From *complete_to* on rows may be missing.
        rows: No row twice; ascending by time.
        unproven: Contracts with a row that could not be read; None: it may be any contract.
        asked: The contracts that were read one by one at *end*; None if none had to be.
    """

    start: int
    end: int
    complete_to: int
    rows: tuple[Settlement, ...]
    unproven: frozenset[Symbol] | None
    asked: frozenset[Symbol] | None = None


class HistoryPages:
    """Says what to read next, takes its page, and gives what that completes.

    Args:
        known: The contracts to read one by one where one time fills a page.
        confirms_end: Read the end of the window twice.
    """

    def __init__(
        self,
        start: int,
        end: int,
        *,
        symbol: Symbol | None = None,
        known: Collection[Symbol] = (),
        confirms_end: bool = True,
        pages_max: int = PAGES_MAX,
    ) -> None:
        self._end = end
        self._symbol = symbol
        self._known = known
        self._confirms_end = confirms_end
        self._pages_left = pages_max
        self._single_time: _SingleTime | None = None
        self._held: tuple[Settlement, ...] = ()
        """Rows of the last time of the page before, where the next page starts."""
        self._ending: _Ending | None = None
        """Of the page before, if it was not full."""
        self._repeats = 0
        self._next = HistoryRead(start, end, symbol) if start <= end else None

    @property
    def next_read(self) -> HistoryRead | None:
        """None when the window was read to its end."""
        return self._next if self._single_time is None else self._single_time.next_read

    def take(
        self,
        rows: Sequence[Settlement],
        *,
        is_full: bool,
        unusable_of: frozenset[Symbol] | None = frozenset(),
    ) -> HistoryBatch | None:
        """The page of `next_read`; *unusable_of* are the contracts with a row that cannot be read,
        None if that is not known.

        Raises:
            HistoryPageError: The same read may be tried again.
        """
        read = self.next_read
        if read is None:
            raise HistoryPageError("a page after the last one of its window")
        _check(read, rows)
        if self._single_time is not None:
            return self._take_of_one(self._single_time, read, rows, is_full, unusable_of)
        self._count(read)
        if is_full and not rows:
            what = "is empty" if unusable_of == frozenset() else "has no readable row"
            raise HistoryPageError(f"{_name(read)}: a full page {what}; reading cannot go on")
        if self._held and not rows:
            raise HistoryPageError(f"{_name(read)}: the rows of its start have gone")
        last = rows[-1].key.funding_time if rows else read.start - 1
        ending = None if is_full else _ending(rows, last)
        if ending is not None and ending == self._ending:
            return self._finish(read, rows, unusable_of, complete_to=read.end)
        if ending is not None and not self._confirms_end:
            return self._finish(read, rows, unusable_of, complete_to=last - 1)
        self._ending = ending
        if is_full and rows[0].key.funding_time == last:
            self._read_one_by_one(read, rows, unusable_of)
            return None
        return self._go_on(read, rows, last, unusable_of)

    def _finish(
        self,
        read: HistoryRead,
        rows: Sequence[Settlement],
        unusable_of: frozenset[Symbol] | None,
        *,
        complete_to: int,
    ) -> HistoryBatch:
        self._next = None
        return HistoryBatch(read.start, read.end, complete_to, self._with_held(rows), unusable_of)

    def _go_on(
        self,
        read: HistoryRead,
        rows: Sequence[Settlement],
        last: int,
        unusable_of: frozenset[Symbol] | None,
    ) -> HistoryBatch | None:
        """Read on at *last*, whose rows this page may not have all."""
        if last <= read.start:
            self._repeat(read)
            self._held = self._with_held(rows)
            return None
        self._repeats = 0
        self._next = HistoryRead(last, self._end, self._symbol)
        complete = self._with_held([row for row in rows if row.key.funding_time < last])
        self._held = tuple(row for row in rows if row.key.funding_time == last)
        return HistoryBatch(read.start, last - 1, last - 1, complete, unusable_of)

    def _with_held(self, rows: Sequence[Settlement]) -> tuple[Settlement, ...]:
        held, self._held = self._held, ()
        return _without_repeats([*held, *rows])

    def _count(self, read: HistoryRead) -> None:
        if not self._pages_left:
            raise HistoryPageError(f"{_name(read)}: too many pages of one window; read less")
        self._pages_left -= 1

    def _repeat(self, read: HistoryRead) -> None:
        self._repeats += 1
        if self._repeats > REPEATS_MAX:
            raise HistoryPageError(f"{_name(read)}: each page has other rows; try again later")

    def _read_one_by_one(
        self,
        read: HistoryRead,
        rows: Sequence[Settlement],
        unusable_of: frozenset[Symbol] | None,
    ) -> None:
        time = rows[-1].key.funding_time
        if read.symbol is not None:
            raise HistoryPageError(f"{_name(read)}: a full page of the one time {time}")
        symbols = {*self._known, *(row.key.symbol for row in rows)}
        self._single_time = _SingleTime(read.start, self._with_held(rows), symbols, unusable_of)

    def _take_of_one(
        self,
        single: "_SingleTime",
        read: HistoryRead,
        rows: Sequence[Settlement],
        is_full: bool,
        unusable_of: frozenset[Symbol] | None,
    ) -> HistoryBatch | None:
        if is_full:
            raise HistoryPageError(f"{_name(read)}: a full page of one contract at one time")
        if unusable_of is None:
            unusable_of = frozenset({single.next_read.symbol or Symbol("")})
        if not single.take(rows, unusable_of):
            return None
        self._single_time, self._ending = None, None
        after = single.time + 1
        self._next = HistoryRead(after, self._end) if after <= self._end else None
        return single.batch()


class _Ending(Struct, frozen=True):
    """The last time of a page, and its rows of that time."""

    time: int
    rows: frozenset[Settlement]


def _ending(rows: Sequence[Settlement], time: int) -> _Ending:
    return _Ending(time, frozenset(row for row in rows if row.key.funding_time == time))


class _SingleTime:
    """The reads, one a contract, of a time that fills a page."""

    def __init__(
        self,
        start: int,
        rows: Sequence[Settlement],
        symbols: Collection[Symbol],
        unusable_of: frozenset[Symbol] | None,
    ) -> None:
        self._start = start
        self.time = rows[-1].key.funding_time
        self._asked = frozenset(symbols)
        self._left = sorted(symbols, reverse=True)
        self._rows = list(rows)
        self._unproven = unusable_of

    @property
    def next_read(self) -> HistoryRead:
        return HistoryRead(self.time, self.time, self._left[-1])

    def take(self, rows: Sequence[Settlement], unusable_of: frozenset[Symbol]) -> bool:
        """Whether this was the last contract."""
        self._left.pop()
        self._rows += rows
        if self._unproven is not None:
            self._unproven |= unusable_of
        return not self._left

    def batch(self) -> HistoryBatch:
        rows = _without_repeats(self._rows)
        time = self.time
        return HistoryBatch(self._start, time, time, rows, self._unproven, self._asked)


def _check(read: HistoryRead, rows: Sequence[Settlement]) -> None:
    earlier = read.start
    for row in rows:
        time, symbol, _ = row.key
        if not read.start <= time <= read.end:
            raise HistoryPageError(
                f"{_name(read)}: the row of {symbol} at {time} is outside of the window"
            )
        if time < earlier:
            raise HistoryPageError(
                f"{_name(read)}: the row of {symbol} at {time} comes after one at {earlier}"
            )
        if read.symbol not in {None, symbol}:
            raise HistoryPageError(f"{_name(read)}: a row of {symbol}")
        earlier = time


def _without_repeats(rows: Sequence[Settlement]) -> tuple[Settlement, ...]:
    """Rows that differ stay, also of one key: the exchange contradicts itself there."""
    unique = {(row.key, row.rate, row.mark_price): row for row in rows}
    return tuple(unique.values())


def _name(read: HistoryRead) -> str:
    contracts = "all contracts" if read.symbol is None else read.symbol
    return f"fundingRate of {contracts} from {read.start} to {read.end}"
