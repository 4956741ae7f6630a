"""How far a read of the history proves that every published settlement is stored.

A settlement appears in the exchange's history some time after it happened. A read proves only what
is older than the publication tail; and where a settlement is expected and not there, only what is
before it, until a later row of the contract shows that there was none, or a day has passed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.funding.history_pages import HistoryBatch
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.funding.settlement_times import (
    INTERVAL_MAX_H,
    OFF_GRID_MS,
    OVERDUE_MS,
    ContractFacts,
    LastRegular,
    first_expected,
    full_hour,
    is_regular,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

PUBLICATION_TAIL_MS: Final = 15 * 60_000
FINAL_AFTER_MS: Final = 24 * HOUR_MS
"""What is not published by then is not waited for; `GapSearch` reports it."""


class RegularTimes:
    """The latest regular settlement of each contract, as rows pass in order of time."""

    def __init__(self) -> None:
        self._last: dict[Symbol, LastRegular] = {}

    def last(self, symbol: Symbol) -> LastRegular | None:
        return self._last.get(symbol)

    def see(self, key: SettlementKey) -> int | None:
        """Hours since the regular settlement before *key*; None where that is not known."""
        if not is_regular(key):
            return None
        hour = full_hour(key.funding_time)
        before = self._last.get(key.symbol)
        if before is not None and hour <= before.hour:
            return before.interval_h if hour == before.hour else None
        hours = None if before is None else (hour - before.hour) // HOUR_MS
        interval_h = hours if hours is not None and hours <= INTERVAL_MAX_H else None
        self._last[key.symbol] = LastRegular(hour, interval_h)
        return interval_h

    def forget(self, symbols: Collection[Symbol] | None) -> None:
        """A row of *symbols* is missing; None: of any contract."""
        for symbol in list(self._last) if symbols is None else symbols:
            self._last.pop(symbol, None)


class HistoryProof:
    """What the batches of one window prove, in their order.

    Args:
        start: Of what is proven, epoch ms; batches may begin before it.
        exchange_ms: The exchange's time when the read began.
        contracts: By symbol; of a contract that is not in it no settlement is expected.
        symbols: The contracts whose history this proves, with or without rows; more are added as
            rows name them.
        times: Knows the settlements from *known_from* to the window.

    Attributes:
        late: Contracts that a row has named after others were read one by one: they may have a
            settlement at that time, so this window must be read for each of them.
    """

    def __init__(
        self,
        start: int,
        *,
        exchange_ms: int,
        contracts: Mapping[Symbol, ContractFacts],
        symbols: Iterable[Symbol],
        known_from: int,
        times: RegularTimes,
        tail_ms: int = PUBLICATION_TAIL_MS,
    ) -> None:
        self._start = start
        self._bound = exchange_ms - tail_ms
        self._final = exchange_ms - FINAL_AFTER_MS
        self._contracts = contracts
        self._known_from = known_from
        self._times = times
        self._start_of = dict.fromkeys(symbols, start)
        self._start_of_new = start
        self._were_asked = False
        self.late: set[Symbol] = set()

    @property
    def bound(self) -> int:
        """Nothing later is proven, epoch ms."""
        return self._bound

    def take(self, batch: HistoryBatch, not_stored: Collection[Symbol]) -> list[RateCoverage]:
        """What is proven after *batch* was stored, except records of *not_stored*."""
        for row in batch.rows:
            symbol = row.key.symbol
            if symbol not in self._start_of:
                self._start_of[symbol] = self._start_of_new
                if self._were_asked:
                    self.late.add(symbol)
        if batch.asked is not None:
            self._start_of_new = max(self._start, batch.end + 1)
            self._were_asked = True
            # Nor was a contract asked whose rows so far could not be read.
            unasked = self._start_of.keys() - batch.asked
            self._start_of |= dict.fromkeys(unasked, self._start_of_new)
        self._leave_out(batch, not_stored)
        return [*self._spans(batch.complete_to)]

    def _leave_out(self, batch: HistoryBatch, not_stored: Collection[Symbol]) -> None:
        after = max(self._start, batch.end + 1)
        if batch.unproven is None:
            self._start_of = dict.fromkeys(self._start_of, after)
            self._start_of_new = after
            return
        self._start_of.update(dict.fromkeys({*batch.unproven, *not_stored}, after))

    def _spans(self, end: int) -> Iterator[RateCoverage]:
        for symbol, start in self._start_of.items():
            through = min(end, self._bound, self._trail(symbol, end))
            if through >= start:
                yield RateCoverage(symbol=symbol, verified_from=start, verified_through=through)

    def _trail(self, symbol: Symbol, end: int) -> int:
        """Just before the first settlement that is expected and not there."""
        facts = self._contracts.get(symbol)
        if facts is None or _is_over(facts, self._bound):
            return end
        start = self._start_of[symbol]
        # Rows before a later start could not be read, so the last settlement is not known.
        known_from = self._known_from if start <= self._start else start
        hour = first_expected(facts, self._times.last(symbol), known_from)
        return end if hour is None or hour <= self._final else hour - OFF_GRID_MS


def _is_over(facts: ContractFacts, bound: int) -> bool:
    """All its settlements are published."""
    return facts.expects_until is not None and facts.expects_until + OVERDUE_MS <= bound
