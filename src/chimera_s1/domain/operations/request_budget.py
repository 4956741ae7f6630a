"""The requests of one exchange host: every caller asks here before it sends one.

A call says what it spends and how urgent it is. One that does not fit waits in a bounded queue,
money first, or is refused with a named outcome; it is never sent beyond a limit. Holds of the host
are in `venue_hold`. Times are monotonic ms.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from math import inf

from msgspec import Struct, structs

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.operations.request_bucket import (
    BucketLimit,
    LimitSource,
    Priority,
    RequestBucket,
    Shortage,
    UsedReport,
)

QUEUE_MAX = 64
"""Calls that wait for one host; each priority leaves places to those before it, as in a bucket."""

_PATIENCE_MS = {Priority.MONEY: 5_000.0, Priority.PROBE: 1_000.0, Priority.BACKFILL: 90_000.0}


class Charge(Struct, frozen=True):
    """A request adds *weight* to what is used of *bucket*."""

    bucket: str
    weight: int


class RequestCall(Struct, frozen=True):
    """What a caller says of a request before it is sent.

    Attributes:
        caller: Names it in errors and metrics.
        charges: All that the exchange counts for it.
        patience_ms: How long it may wait for room; by default that of its priority.
    """

    caller: str
    priority: Priority
    charges: tuple[Charge, ...]
    patience_ms: float | None = None

    @property
    def longest_wait_ms(self) -> float:
        return _PATIENCE_MS[self.priority] if self.patience_ms is None else self.patience_ms


class RequestOutcome(StrEnum):
    """What became of a call."""

    SENT = "sent"
    WAITED = "waited"
    """Sent, after a wait for room."""
    NOT_SENT = "not_sent"
    """Of those before: there was no connection to send it on, or no time to sign it with."""
    NO_ROOM = "no_room"
    """Refused: a limit would be passed, and its wait is too long."""
    QUEUE_FULL = "queue_full"
    """Refused: too many wait already."""
    HELD = "held"
    """Refused: the host is not to be asked for a while."""


class Ticket(Struct, eq=False):
    """A request that is counted as in flight; it is settled or given back once."""

    call: RequestCall
    open: bool = True


class Place(Struct, eq=False):
    """Of a call in the queue; smaller numbers of one priority came first."""

    call: RequestCall
    number: int

    def is_before(self, other: "Place") -> bool:
        if self.call.priority != other.call.priority:
            return self.call.priority < other.call.priority
        return self.number < other.number


class BucketReport(Struct, frozen=True):
    """Attributes:
    used: As far as this instance can know.
    allowed: What this instance may let that grow to, for money.
    """

    limit: BucketLimit
    used: int
    allowed: int


class RequestBudget:
    """The buckets of one host, and the calls that wait for room in them.

    Attributes:
        outcomes: By caller and outcome, since the start.
    """

    def __init__(self, limits: Iterable[BucketLimit], instances: int = 1) -> None:
        self.outcomes: Counter[tuple[str, RequestOutcome]] = Counter()
        self._buckets = {limit.name: RequestBucket(limit, instances) for limit in limits}
        self._queue: list[Place] = []
        self._joined = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def use_instances(self, instances: int) -> None:
        """Divide every limit by *instances*, at least 1, from now on."""
        for bucket in self._buckets.values():
            bucket.use_instances(instances)

    def learn(self, name: str, limit: int, source: LimitSource) -> None:
        """Take *limit* for the bucket *name*, unless a more trusted source named one.

        Raises:
            InvalidValueError: There is no such bucket, or no such limit.
        """
        bucket = self._bucket(name)
        if source.rank >= bucket.limit.source.rank:
            bucket.limit = structs.replace(bucket.limit, limit=limit, source=source)

    def join(self, call: RequestCall) -> Place | None:
        """A place in the queue; None when it is full for this priority."""
        if len(self._queue) >= int(QUEUE_MAX * call.priority.share):
            return None
        self._joined += 1
        place = Place(call, self._joined)
        self._queue.append(place)
        return place

    def leave(self, place: Place) -> None:
        self._queue.remove(place)

    def take(
        self, call: RequestCall, now_ms: float, place: Place | None = None
    ) -> Ticket | Shortage:
        """Count *call* as in flight if it fits everywhere and none that goes first waits.

        Raises:
            InvalidValueError: It names an unknown bucket.
        """
        short = self._shortage(call, now_ms)
        if short is None and (first := self._first_in(call, place)) is not None:
            short = self._behind(call, first, now_ms)
        if short is not None:
            return short
        for charge in call.charges:
            self._bucket(charge.bucket).take(charge.weight)
        return Ticket(call)

    def give_back(self, ticket: Ticket) -> None:
        """It was not sent."""
        if ticket.open:
            ticket.open = False
            for charge in ticket.call.charges:
                self._bucket(charge.bucket).give_back(charge.weight)

    def settle(self, ticket: Ticket, reports: Mapping[str, UsedReport], now_ms: float) -> None:
        """The request has ended; *reports* are those of its reply, none without one."""
        if not ticket.open:
            return
        ticket.open = False
        for charge in ticket.call.charges:
            self._bucket(charge.bucket).settle(charge.weight, reports.get(charge.bucket), now_ms)
        charged = {charge.bucket for charge in ticket.call.charges}
        for name in reports.keys() & self._buckets.keys() - charged:
            self._buckets[name].observe(reports[name], now_ms)

    def used(self, now_ms: float) -> dict[str, int]:
        """Of each bucket that is used at all."""
        used = {name: bucket.used(now_ms) for name, bucket in self._buckets.items()}
        return {name: count for name, count in used.items() if count}

    def reports(self, now_ms: float) -> tuple[BucketReport, ...]:
        return tuple(
            BucketReport(bucket.limit, bucket.used(now_ms), bucket.allowance(Priority.MONEY).total)
            for bucket in self._buckets.values()
        )

    def _shortage(self, call: RequestCall, now_ms: float) -> Shortage | None:
        """The one that lasts longest."""
        longest: Shortage | None = None
        for charge in call.charges:
            bucket = self._bucket(charge.bucket)
            short = bucket.shortage(charge.weight, call.priority, now_ms)
            if short and (longest is None or short.wait_ms > longest.wait_ms):
                longest = short
        return longest

    def _first_in(self, call: RequestCall, place: Place | None) -> Place | None:
        """One that waits for the same bucket and goes before *call*."""
        if not self._queue:
            return None
        own = place or Place(call, self._joined + 1)
        buckets = {charge.bucket for charge in call.charges}
        return next(
            (
                other
                for other in self._queue
                if other is not place
                and other.is_before(own)
                and any(charge.bucket in buckets for charge in other.call.charges)
            ),
            None,
        )

    def _behind(self, call: RequestCall, first: Place, now_ms: float) -> Shortage:
        """The shortage of a call that would fit, but for *first*."""
        buckets = {charge.bucket for charge in first.call.charges}
        charge = next(each for each in call.charges if each.bucket in buckets)
        bucket = self._bucket(charge.bucket)
        allowed = bucket.allowance(call.priority).total
        return Shortage(charge.bucket, charge.weight, bucket.used(now_ms), allowed, 0.0)

    def _bucket(self, name: str) -> RequestBucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            raise InvalidValueError(
                f"this host has no limit {name!r}; it has {', '.join(self._buckets)}"
            )
        return bucket


def is_never(short: Shortage) -> bool:
    """No wait makes room for it: the share of this instance is too small."""
    return short.wait_ms == inf


def is_queued(short: Shortage) -> bool:
    """It would fit, but for calls in the queue that go first."""
    return short.used + short.weight <= short.allowed
