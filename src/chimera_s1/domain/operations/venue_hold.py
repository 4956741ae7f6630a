"""Holds of a venue: times in which it gets no dials, or no requests either.

REST, WebSocket API and streams of a venue are one ban domain: what one path hears, all obey.
Times are monotonic ms.
"""

from collections import Counter
from enum import StrEnum

from msgspec import Struct, structs

POLICY_HOLD_MS = 60_000
POLICY_HOLD_MAX_MS = 900_000
"""First and longest hold after a limit was broken for which the venue named no time to wait."""

POLICY_CALM_MS = 900_000
"""Time after such a hold without another one; then the next is a first one again."""


class HoldScope(StrEnum):
    """What is held: new sockets only, REST requests only, or both (a ban of the address)."""

    DIALS = "dials"
    REQUESTS = "requests"
    ALL = "all"

    @property
    def held(self) -> str:
        """For a sentence that begins with "no"."""
        return "requests and no dials" if self is HoldScope.ALL else self.value

    @property
    def holds_dials(self) -> bool:
        return self is not HoldScope.REQUESTS

    @property
    def holds_requests(self) -> bool:
        return self is not HoldScope.DIALS


class HoldReason(StrEnum):
    """What the venue complains of."""

    RATE_LIMITED = "rate_limited"
    """429, or an error that says the same."""
    BANNED = "banned"
    """418."""
    POLICY = "policy"
    """A socket was closed with 1008, or an error says "too many"."""
    OVERLOADED = "overloaded"
    """503 with a time to wait: of the venue, not of this address."""

    @property
    def is_of_address(self) -> bool:
        """It concerns every process behind this address."""
        return self is not HoldReason.OVERLOADED


class Hold(Struct, frozen=True):
    """Attributes:
    until_ms: When it ends.

    cause: The venue's own words, and where they were heard.
    heard_by: The instance that heard them; empty if it was this one.
    """

    scope: HoldScope
    until_ms: float
    cause: str
    reason: HoldReason = HoldReason.RATE_LIMITED
    heard_by: str = ""


class VenueHold:
    """The holds of one venue, for all users of the venue in this process.

    Attributes:
        count: Holds that began while none was in force.
        last: The newest of them; it may have been extended since.
        complaints: What the venue complained of, and to which caller, since the start.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: Hold | None = None
        self.complaints: Counter[tuple[HoldReason, str]] = Counter()
        self._dials: Hold | None = None
        self._requests: Hold | None = None
        self._policy_holds = 0
        self._policy_ended_ms = 0.0

    def hold(
        self,
        scope: HoldScope,
        duration_ms: float,
        cause: str,
        now_ms: float,
        reason: HoldReason = HoldReason.RATE_LIMITED,
        *,
        heard_by: str = "",
    ) -> None:
        """Hold *scope* for *duration_ms*; never shortens an earlier hold."""
        if duration_ms <= 0:
            return
        new = Hold(scope, now_ms + duration_ms, cause, reason, heard_by)
        if self.current(now_ms) is None:
            self.count += 1
            self.last = new
        if scope.holds_dials:
            self._dials = _later(self._dials, new)
        if scope.holds_requests:
            self._requests = _later(self._requests, new)

    def hold_for_policy(
        self,
        scope: HoldScope,
        cause: str,
        now_ms: float,
        reason: HoldReason = HoldReason.POLICY,
    ) -> None:
        """Hold *scope* after a limit was broken and no time was named: 60 s, doubling to 15 min.

        Several reports during one hold are one: sockets that are open together end together.
        """
        if self._policy_holds and now_ms < self._policy_ended_ms:
            self.hold(scope, self._policy_ended_ms - now_ms, cause, now_ms, reason)
            return
        if now_ms - self._policy_ended_ms >= POLICY_CALM_MS:
            self._policy_holds = 0
        duration_ms = min(POLICY_HOLD_MAX_MS, POLICY_HOLD_MS * 2**self._policy_holds)
        # Beyond the longest hold a larger exponent changes nothing.
        self._policy_holds = min(self._policy_holds + 1, POLICY_HOLD_MAX_MS // POLICY_HOLD_MS)
        self._policy_ended_ms = now_ms + duration_ms
        self.hold(scope, duration_ms, cause, now_ms, reason)

    def dials_wait_ms(self, now_ms: float) -> float:
        """How long no socket may be dialled; 0 when one may."""
        return _left_ms(self._dials, now_ms)

    def requests_wait_ms(self, now_ms: float) -> float:
        """How long no request may be sent; 0 when one may."""
        return _left_ms(self._requests, now_ms)

    def heard_here(self, now_ms: float) -> tuple[tuple[HoldScope, Hold], ...]:
        """What this instance heard that concerns all instances behind its address."""
        holds = ((HoldScope.DIALS, self._dials), (HoldScope.REQUESTS, self._requests))
        return tuple(
            (scope, hold)
            for scope, hold in holds
            if hold and hold.until_ms > now_ms and not hold.heard_by and hold.reason.is_of_address
        )

    def current(self, now_ms: float) -> Hold | None:
        """The hold that ends last, with the scope of what is held now; None without one."""
        live = [hold for hold in (self._dials, self._requests) if _left_ms(hold, now_ms) > 0]
        last = max((hold for hold in live if hold), key=lambda hold: hold.until_ms, default=None)
        if last is None or len(live) == 1:
            return last
        return structs.replace(last, scope=HoldScope.ALL)


def _later(known: Hold | None, new: Hold) -> Hold:
    return new if known is None or new.until_ms > known.until_ms else known


def _left_ms(hold: Hold | None, now_ms: float) -> float:
    return 0.0 if hold is None else max(0.0, hold.until_ms - now_ms)
