"""One limit of an exchange host, and how much of it is used.

The exchange counts in windows of its own clock. Where replies report the count, the last report is
the truth, others behind this address included; to it comes what it does not show yet: requests in
flight, and those whose reply came without a report or never. Where replies report nothing, every
request counts until a whole window after its end, so that no alignment of the window matters.

Several instances behind one address cannot see each other's requests in flight. So each keeps what
no report shows below its share of a margin, and all stop below the limit less that margin: however
their requests interleave, the exchange counts no more than the limit. A limit that no reply reports
is divided by the instances. Times are monotonic ms.
"""

from collections import deque
from enum import IntEnum, StrEnum
from math import ceil, inf

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError

EDGE_MS = 1_000
"""A reported window counts as ended only so long after its end: two clocks of the exchange are
involved, that of the report's `Date` and that of the counter.
"""

MARGIN_SHARE = 5
UNREPORTED_MIN = 100
"""The margin is a fifth of a limit, or what lets each instance have this weight in flight; at most
half.
"""

_GRID_MS = 1_000


class Priority(IntEnum):
    """Whose requests go first; each class leaves a reserve to those before it."""

    MONEY = 0
    """What places or cancels orders, and the treasury."""
    PROBE = 1
    """Clock, liveness, registry, reads of the account: missing one is bearable."""
    BACKFILL = 2
    """History: it can wait."""

    @property
    def share(self) -> float:
        """Of what this instance may use."""
        return _SHARES[self]


_SHARES = (1.0, 0.9, 0.7)
"""By priority."""


class LimitSource(StrEnum):
    """Where a limit is known from; a later one is believed before an earlier one."""

    TABLE = "table"
    EXCHANGE = "exchange"
    SETTING = "setting"

    @property
    def rank(self) -> int:
        return list(LimitSource).index(self)


class BucketLimit(Struct, frozen=True):
    """Attributes:
    name: Of the bucket, such as `futures.weight`.
    limit: Weight, or requests, in a window of *window_ms*.
    reported: Replies say how much of it is used.
    """

    name: str
    limit: int
    window_ms: int
    reported: bool
    source: LimitSource = LimitSource.TABLE

    def __post_init__(self) -> None:
        if self.limit <= 0 or self.window_ms <= 0:
            raise InvalidValueError(
                f"{self.name}: a limit and its window are positive, not {self.limit} in "
                f"{self.window_ms} ms"
            )


class Allowance(Struct, frozen=True):
    """What one instance may use at one priority: in all, and beyond what is reported."""

    total: int
    unreported: int


class Shortage(Struct, frozen=True):
    """A request does not fit now.

    Attributes:
        used: Of *allowed*; it fits that where only calls that go first are in its way.
        unreported: *used* and *allowed* are only what no report shows yet.
        wait_ms: It cannot fit before; infinite if it never does, 0 if only replies are awaited.
    """

    bucket: str
    weight: int
    used: int
    allowed: int
    wait_ms: float
    unreported: bool = False


class UsedReport(Struct, frozen=True):
    """The count of a bucket, as a reply reported it.

    Attributes:
        exchange_ms: When, by the exchange's clock, or a little earlier; None if it did not say.
    """

    used: int
    exchange_ms: int | None


class _View(Struct, frozen=True):
    """The last report that counts; *window* is its number, None where the reply had no date."""

    used: int
    window: int | None
    ends_ms: float


class RequestBucket:
    """The use of one limit by this instance, as far as it can know."""

    def __init__(self, limit: BucketLimit, instances: int) -> None:
        self.limit = limit
        self._instances = instances
        self._view: _View | None = None
        self._in_flight = 0
        self._unreported: deque[tuple[float, int]] = deque()

    def use_instances(self, instances: int) -> None:
        """Divide by *instances* from now on."""
        self._instances = instances

    def allowance(self, priority: Priority) -> Allowance:
        limit = self.limit.limit
        if not self.limit.reported:
            own = int(limit // self._instances * priority.share)
            return Allowance(own, own)
        margin = min(limit // 2, max(limit // MARGIN_SHARE, UNREPORTED_MIN * self._instances))
        return Allowance(
            int((limit - margin) * priority.share), int(margin // self._instances * priority.share)
        )

    def used(self, now_ms: float) -> int:
        """As reported, and what no report shows yet."""
        return self._reported(now_ms) + self._lost(now_ms) + self._in_flight

    def shortage(self, weight: int, priority: Priority, now_ms: float) -> Shortage | None:
        """None if a request of *weight* may be sent now."""
        allowed = self.allowance(priority)
        reported, lost = self._reported(now_ms), self._lost(now_ms)
        if _fits(allowed, reported, lost + self._in_flight + weight):
            return None
        name, unreported = self.limit.name, lost + self._in_flight
        wait_ms = self._earliest_ms(allowed, weight, now_ms) - now_ms
        if self.limit.reported and unreported + weight > allowed.unreported:
            return Shortage(name, weight, unreported, allowed.unreported, wait_ms, unreported=True)
        return Shortage(name, weight, reported + unreported, allowed.total, wait_ms)

    def take(self, weight: int) -> None:
        """Count a request that is about to be sent."""
        self._in_flight += weight

    def give_back(self, weight: int) -> None:
        """A request that was taken was not sent."""
        self._in_flight -= weight

    def settle(self, weight: int, report: UsedReport | None, now_ms: float) -> None:
        """A request has ended: with a *report* of the count, without one, or with no reply."""
        self._in_flight -= weight
        if report is not None:
            self.observe(report, now_ms)
        elif weight:
            self._keep(weight, now_ms)

    def observe(self, report: UsedReport, now_ms: float) -> None:
        """Believe *report*; one of an earlier window that arrives late is over."""
        window_ms, view = self.limit.window_ms, self._live_view(now_ms)
        if report.exchange_ms is None:
            window, ends_ms = None, now_ms + window_ms
        else:
            window = report.exchange_ms // window_ms
            ends_ms = now_ms + (window + 1) * window_ms - report.exchange_ms + EDGE_MS
        if view is None or (view.window is None and window is not None):
            self._view = _View(report.used, window, ends_ms)
        elif window is None or view.window is None:
            # Of which window it is, is not known: the largest count stays for as long as one lasts.
            if report.used >= view.used:
                self._view = _View(report.used, view.window, ends_ms)
        elif window == view.window:
            # Each end is a bound that may be late, never early.
            self._view = _View(max(view.used, report.used), window, min(view.ends_ms, ends_ms))
        elif window > view.window:
            self._view = _View(report.used, window, ends_ms)
        elif window < view.window - 1:
            # No reply is a window late: its date is wrong, its count is not.
            self._view = _View(max(view.used, report.used), view.window, view.ends_ms)

    def _keep(self, weight: int, now_ms: float) -> None:
        """Count *weight* for another window; the time is rounded up, so that few are kept."""
        ends_ms = ceil((now_ms + self.limit.window_ms) / _GRID_MS) * float(_GRID_MS)
        if self._unreported and self._unreported[-1][0] >= ends_ms:
            ends_ms, kept = self._unreported.pop()
            weight += kept
        self._unreported.append((ends_ms, weight))

    def _reported(self, now_ms: float) -> int:
        view = self._live_view(now_ms)
        return 0 if view is None else view.used

    def _live_view(self, now_ms: float) -> _View | None:
        if self._view is not None and self._view.ends_ms <= now_ms:
            self._view = None
        return self._view

    def _lost(self, now_ms: float) -> int:
        if not self._unreported:
            return 0
        while self._unreported and self._unreported[0][0] <= now_ms:
            self._unreported.popleft()
        return sum(weight for _, weight in self._unreported)

    def _earliest_ms(self, allowed: Allowance, weight: int, now_ms: float) -> float:
        """When *weight* fits if all that is in flight has ended without a trace; never: infinite"""
        ends = [now_ms, *(ends_ms for ends_ms, _ in self._unreported)]
        ends += [self._view.ends_ms] if self._view else []
        for at_ms in sorted(ends):
            reported = self._view.used if self._view and self._view.ends_ms > at_ms else 0
            lost = sum(kept for ends_ms, kept in self._unreported if ends_ms > at_ms)
            if _fits(allowed, reported, lost + weight):
                return at_ms
        return inf


def _fits(allowed: Allowance, reported: int, unreported: int) -> bool:
    return reported + unreported <= allowed.total and unreported <= allowed.unreported
