"""When a contract settles funding: its intervals, from its first day to its last."""

from bisect import bisect_right
from zlib import crc32

from chimera_s1.adapters.simulator.market.symbols import (
    PERPETUAL_DELIVERY_MS,
    TRADIFI_PERPETUAL,
    SymbolSpec,
)

HOUR_MS = 3_600_000
_FUNDED = frozenset({"PERPETUAL", TRADIFI_PERPETUAL})
_TRADING, _SETTLING = "TRADING", "SETTLING"
_NEVER, _HOURLY = 0, 1
_WEEK_MS = 168 * HOUR_MS
_HOURLY_ONE_IN = 5


class FundingTerms:
    """A contract settles at multiples of its interval, UTC.

    A contract with `hourly_weeks` settles hourly in one week of five, as if its rate had been at
    the cap; which one, follows from its symbol and the date alone.
    """

    __slots__ = ("_hourly_week", "_hours", "_starts")

    def __init__(self, spec: SymbolSpec) -> None:
        self._starts: list[int] = []
        self._hours: list[int] = []
        self._hourly_week = (
            crc32(spec.symbol.encode()) % _HOURLY_ONE_IN if spec.hourly_weeks else None
        )
        settles = spec.contract_type in _FUNDED
        ends = spec.status == _SETTLING and spec.delivery_ms < PERPETUAL_DELIVERY_MS
        if settles and (spec.status == _TRADING or ends):
            self._append(spec.onboard_ms, spec.funding_hours)
        if ends:
            self._append(spec.delivery_ms, _NEVER)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Since when it settles in which interval; 0 hours: not at all."""
        return list(zip(self._starts, self._hours, strict=True))

    @property
    def first_ms(self) -> int | None:
        return self._starts[0] if self._starts else None

    def change(self, spec: SymbolSpec, at_ms: int, *, delisted: bool) -> None:
        """The contract is *spec* from *at_ms* on; if that is set back, what came later is gone."""
        trades = spec.status == _TRADING and not delisted
        hours = spec.funding_hours if trades and spec.contract_type in _FUNDED else _NEVER
        if hours == (self._hours[-1] if self._hours else _NEVER):
            return
        while self._starts and self._starts[-1] >= at_ms:
            self._starts.pop()
            self._hours.pop()
        self._append(at_ms, hours)

    def hours_after(self, moment_ms: int) -> int:
        """The interval that *moment_ms* begins or is in; 0 where there is none."""
        position = bisect_right(self._starts, moment_ms) - 1
        hours = self._hours[position] if position >= 0 else _NEVER
        if hours and self._hourly_week is not None:
            week = moment_ms // _WEEK_MS
            return _HOURLY if week % _HOURLY_ONE_IN == self._hourly_week else hours
        return hours

    def settles_at(self, full_hour_ms: int) -> bool:
        hours = self.hours_after(full_hour_ms - 1)
        return hours > 0 and full_hour_ms % (hours * HOUR_MS) == 0

    def next_ms(self, now_ms: int) -> int:
        """The next settlement as it is planned now; 0 if there is none."""
        interval_ms = self.hours_after(now_ms) * HOUR_MS
        return (now_ms // interval_ms + 1) * interval_ms if interval_ms else 0

    def _append(self, start_ms: int, hours: int) -> None:
        self._starts.append(start_ms)
        self._hours.append(hours)
