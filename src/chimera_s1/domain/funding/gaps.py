"""What is missing in the stored history, and what cannot be seen from it.

A contract's interval is not part of a settlement; it is seen from the spacing of its regular
settlements. A spacing has a gap if it is longer than those on both of its sides, or longer than the
longest interval (8 h). This finds what the exchange's own history lacks if the interval was in
force for at least two spacings on each side. It cannot find: a settlement beside a change of the
interval, or every second one of several; `funding verify --archive` can, because the archive says
the interval of each settlement. It would report a false gap where an interval was in force
for a single spacing between two shorter ones. Settlements of other types follow no interval, so a
missing one is found only by reading again.

An hour that has a settlement at any interval (00, 08, 16 UTC) shows what is missing at both ends:
before the first settlement, of a contract that has traded since then; and after the newest one, if
that hour, or one that the mark price stream has moved beyond, is not published after `OVERDUE_MS`.
Before that it is not yet published, which is no gap.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from statistics import median_low
from typing import Final

from chimera_s1.domain.funding.coverage import FundingGap, GapKind, RateCoverage
from chimera_s1.domain.funding.history_proof import FINAL_AFTER_MS
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.funding.settlement_times import (
    INTERVAL_MAX_H,
    INTERVALS_H,
    OFF_GRID_MS,
    OVERDUE_MS,
    ContractFacts,
    LastRegular,
    certain_after,
    first_expected,
    full_hour,
    is_regular,
    next_multiple,
)
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

READ_WITHIN_MS: Final = HOUR_MS
"""After its time a settlement is read within this, or the history is not verified."""

CONTEXT_MS: Final = 2 * INTERVAL_MAX_H * HOUR_MS
"""Records this long before the start make the first spacings known."""

SIDES_NEED: Final = 4
"""Settlements around a spacing whose both sides are known."""

_STEPS: Final = tuple(hours * HOUR_MS for hours in reversed(INTERVALS_H))
_SIDE_UNKNOWN: Final = (0, INTERVAL_MAX_H * HOUR_MS)


class GapSearch:
    """Takes the stored records in the order of their keys, from `first_record` on.

    Args:
        start: From here on nothing may be missing, or from a contract's listing on.
        exchange_ms: Now, by the exchange's clock.
        coverage: Stored; of all contracts.
        contracts: By symbol.
        symbol: Search this contract only.
    """

    def __init__(
        self,
        *,
        start: int,
        exchange_ms: int,
        coverage: Mapping[Symbol, RateCoverage],
        contracts: Mapping[Symbol, ContractFacts],
        symbol: Symbol | None = None,
    ) -> None:
        self._start = start
        self._now = exchange_ms
        self._coverage = coverage
        self._contracts = contracts
        self._symbol = symbol
        self._read_through = typical_through(coverage) or 0
        self._hours: dict[Symbol, deque[int]] = {}
        self._unpublished: set[FundingGap] = set()

    @property
    def first_record(self) -> int:
        """Where to read stored records from, epoch ms."""
        return self._start - CONTEXT_MS

    def take(self, records: Iterable[FundingRecord]) -> None:
        for record in records:
            if is_regular(record.key):
                self._take_hour(record.key.symbol, full_hour(record.key.funding_time))

    def conclude(self) -> tuple[FundingGap, ...]:
        """All gaps, by symbol and time."""
        symbols = {*self._contracts, *self._coverage, *self._hours}
        if self._symbol is not None:
            symbols &= {self._symbol}
        for symbol in symbols:
            self._judge_last(symbol)
        found = [gap for gap in self._unpublished if gap.symbol in symbols]
        for symbol in symbols:
            found += self._not_verified(symbol)
            found += self._overdue(symbol)
        return tuple(sorted(found, key=lambda gap: (gap.symbol, gap.start, gap.kind)))

    def _take_hour(self, symbol: Symbol, hour: int) -> None:
        if symbol not in self._hours:
            self._judge_first(symbol, hour)
        hours = self._hours.setdefault(symbol, deque(maxlen=4))
        if hours and hours[-1] == hour:
            return
        hours.append(hour)
        if len(hours) == SIDES_NEED:
            first, left, right, last = hours
            self._judge(symbol, left, right, (left - first, last - right))
        elif len(hours) < SIDES_NEED - 1:
            self._judge_last(symbol)  # the first spacing

    def _judge_first(self, symbol: Symbol, hour: int) -> None:
        """Report what is read and has no settlement before the first one, since trading began."""
        facts, span = self._contracts.get(symbol), self._coverage.get(symbol)
        if facts is None or not facts.expects_from or span is None:
            return
        since = max(self._begin(symbol), span.verified_from)
        first, step = certain_after(facts, LastRegular(since, None)), _STEPS[-1]
        last = min(hour - 1, span.verified_through) // step * step
        if first is not None and first <= last:
            self._unpublished.add(_gap(symbol, GapKind.NOT_PUBLISHED, first, last))

    def _judge_last(self, symbol: Symbol) -> None:
        """The newest spacing, of which one side is not known."""
        hours = self._hours.get(symbol)
        if hours and len(hours) > 1:
            self._judge(symbol, hours[-2], hours[-1], _SIDE_UNKNOWN)

    def _judge(self, symbol: Symbol, left: int, right: int, sides: tuple[int, int]) -> None:
        """Report the gap between two settlements, where the exchange's history was read."""
        step = next((each for each in _STEPS if each >= max(sides)), _STEPS[-1])
        if right - left <= step:
            return
        first = left + step if sides == (step, step) else next_multiple(left, step // HOUR_MS)
        last = first + (right - 1 - first) // step * step
        first = max(first, self._begin(symbol))
        span = self._coverage.get(symbol)
        is_read = span is not None and span.verified_from <= first and last <= span.verified_through
        if first <= last and is_read:
            self._unpublished.add(_gap(symbol, GapKind.NOT_PUBLISHED, first, last))

    def _not_verified(self, symbol: Symbol) -> Iterator[FundingGap]:
        """What was not read, up to where it should be by now."""
        begin, span = self._begin(symbol), self._coverage.get(symbol)
        target = self._now - READ_WITHIN_MS
        if span is None:
            expected = self._expected(symbol, begin)
            is_due = expected is not None and expected <= target
            if is_due or self._hours.get(symbol) or self._ended_between(symbol, begin, target):
                yield from _span(symbol, begin, target)
            return
        yield from _span(symbol, begin, min(span.verified_from - 1, target))
        reachable = self._reachable(symbol, span.verified_through)
        yield from _span(symbol, max(begin, span.verified_through + 1), min(reachable, target))

    def _reachable(self, symbol: Symbol, verified_through: int) -> int:
        """How far the contract should be verified by now; what is not published yet left out."""
        target = self._now - READ_WITHIN_MS
        if self._read_through < target - _STEPS[-1] and not self._is_over(symbol, verified_through):
            return target  # nothing was read for longer than any interval
        last = self._last(symbol)
        verified = LastRegular(verified_through, None if last is None else last.interval_h)
        after_verified = self._first_expected(symbol, verified)
        if last is not None and after_verified is not None and after_verified < last.hour:
            return target  # a second one beyond what is verified is stored
        expected = self._expected(symbol, self._begin(symbol))
        if expected is not None and expected <= self._now - FINAL_AFTER_MS:
            expected = after_verified  # that one is not waited for
        if expected is None or expected > target:
            # Others were read further: so should this one.
            not_due = self._now if expected is None else expected - OFF_GRID_MS
            return min(self._read_through, not_due)
        is_awaited = verified_through >= expected - OFF_GRID_MS
        return verified_through if is_awaited and expected <= self._read_through else target

    def _ended_between(self, symbol: Symbol, start: int, end: int) -> bool:
        """Whether it was delisted then: its interval before that is not known."""
        facts = self._contracts.get(symbol)
        return facts is not None and start < (facts.expects_until or 0) <= end

    def _is_over(self, symbol: Symbol, time: int) -> bool:
        """Whether no settlement is expected from *time* on."""
        facts = self._contracts.get(symbol)
        return facts is not None and facts.expects_until is not None and facts.expects_until <= time

    def _overdue(self, symbol: Symbol) -> Iterator[FundingGap]:
        """Settlements that have happened, and are not published long after, as the contract's own
        history says, read up to where they are expected.
        """
        facts, span = self._contracts.get(symbol), self._coverage.get(symbol)
        if facts is None or span is None:
            return
        since = max(self._begin(symbol), span.verified_from)
        last = self._last(symbol) or LastRegular(since, None)
        last = last if last.hour >= since else LastRegular(since, last.interval_h)
        expected, hour = first_expected(facts, last, since), certain_after(facts, last)
        if expected is None or span.verified_through < expected - OFF_GRID_MS:
            return
        published_by = min(self._now - OVERDUE_MS, self._read_through)
        if hour is None or hour > published_by:
            return
        until = published_by if facts.expects_until is None else facts.expects_until - 1
        latest = min(published_by, until) // _STEPS[-1] * _STEPS[-1]
        yield _gap(symbol, GapKind.NOT_PUBLISHED, hour, max(hour, latest))

    def _expected(self, symbol: Symbol, begin: int) -> int | None:
        facts = self._contracts.get(symbol)
        return None if facts is None else first_expected(facts, self._last(symbol), begin)

    def _first_expected(self, symbol: Symbol, last: LastRegular) -> int | None:
        facts = self._contracts.get(symbol)
        return None if facts is None else first_expected(facts, last, 0)

    def _last(self, symbol: Symbol) -> LastRegular | None:
        hours = self._hours.get(symbol)
        if not hours:
            return None
        spacing = (hours[-1] - hours[-2]) // HOUR_MS if len(hours) > 1 else None
        return LastRegular(hours[-1], spacing)

    def _begin(self, symbol: Symbol) -> int:
        facts = self._contracts.get(symbol)
        return self._start if facts is None else max(self._start, facts.expects_from)


def typical_through(coverage: Mapping[Symbol, RateCoverage]) -> int | None:
    """How far most contracts are proven; None if none is. A read of one contract is not typical."""
    return median_low([span.verified_through for span in coverage.values()]) if coverage else None


def _span(symbol: Symbol, start: int, end: int) -> Iterator[FundingGap]:
    if start <= end:
        yield _gap(symbol, GapKind.NOT_VERIFIED, start, end)


def _gap(symbol: Symbol, kind: GapKind, start: int, end: int) -> FundingGap:
    return FundingGap(symbol=symbol, kind=kind, start=start, end=end)
