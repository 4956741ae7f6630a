"""Sessions of the markets that TradFi contracts follow.

Binance, USD-M "Trading Schedule": one week from the day before, by underlying type. The hours are
those of summer, without holidays.
"""

from collections.abc import Iterator

from msgspec import Struct

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_SHOWN_DAYS = 7
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_SATURDAY = 5
NO_TRADING = "NO_TRADING"
_REGULAR = "REGULAR"

_WEEKDAYS: dict[str, tuple[tuple[float, str], ...]] = {
    "EQUITY": ((0, "OVERNIGHT"), (8, "PRE_MARKET"), (13.5, _REGULAR), (20, "AFTER_MARKET")),
    "COMMODITY": ((0, _REGULAR), (21, NO_TRADING), (22, _REGULAR)),
    "KR_EQUITY": ((0, _REGULAR), (6.5, NO_TRADING)),
    "HK_EQUITY": (
        (0, NO_TRADING), (1.5, _REGULAR), (4, NO_TRADING), (5, _REGULAR), (8, NO_TRADING),
    ),
    "CN_EQUITY": (
        (0, NO_TRADING), (1.5, _REGULAR), (3.5, NO_TRADING), (5, _REGULAR), (7, NO_TRADING),
    ),
    "FX": ((0, _REGULAR),),
}  # fmt: skip
"""Hours of UTC at which the sessions of Monday to Friday begin."""

UNDERLYING_TYPES = tuple(_WEEKDAYS)


class Session(Struct, frozen=True):
    """Epoch ms, exchange time; *kind* is Binance's word."""

    start_ms: int
    end_ms: int
    kind: str


class TradingHours:
    """The sessions of each underlying type.

    Attributes:
        fixed: Underlying types whose sessions are all of one kind, whatever the day.
    """

    def __init__(self) -> None:
        self.fixed: dict[str, str] = {}

    def sessions(self, underlying_type: str, now_ms: int) -> list[Session]:
        """Without gaps, for seven days from the day before *now_ms*."""
        first = now_ms // _DAY_MS - 1
        return [
            session
            for day in range(first, first + _SHOWN_DAYS)
            for session in self._of_day(underlying_type, day)
        ]

    def current(self, underlying_type: str, now_ms: int) -> Session:
        today = self._of_day(underlying_type, now_ms // _DAY_MS)
        return next(session for session in today if now_ms < session.end_ms)

    def _of_day(self, underlying_type: str, day: int) -> Iterator[Session]:
        starts = self._starts(underlying_type, day)
        ends = (*(hour for hour, _ in starts[1:]), 24)
        for (start, kind), end in zip(starts, ends, strict=True):
            midnight = day * _DAY_MS
            yield Session(midnight + int(start * _HOUR_MS), midnight + int(end * _HOUR_MS), kind)

    def _starts(self, underlying_type: str, day: int) -> tuple[tuple[float, str], ...]:
        if underlying_type in self.fixed:
            return ((0, self.fixed[underlying_type]),)
        if (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY:
            return ((0, NO_TRADING),)
        return _WEEKDAYS[underlying_type]
