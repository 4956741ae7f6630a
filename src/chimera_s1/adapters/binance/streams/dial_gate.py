"""Every dial of a venue's sockets passes here, and what a dial or a socket hears of limits is kept.

A dial waits for the venue's hold and for the dial budget. An upgrade that is refused with 418 or
429 is a ban of the address, so it holds REST requests, too; 503, a close 1008 and an error that
says "too many" hold dials.
"""

from collections.abc import Mapping
from http import HTTPStatus

import anyio

from chimera_s1.adapters.binance.http.ban import ban_left_ms
from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.adapters.binance.http.weight_budget import RATE_LIMITED_STATUSES, retry_after_s
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.dial_budget import DialBudget, DialLimit, dial_limit
from chimera_s1.domain.operations.reports import VenueLimitsReport
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope, VenueHold
from chimera_s1.domain.ports.clock import Clock

POLICY_VIOLATION = 1008
CALLER = "sockets"
_TOO_MANY = "too many"
_REASON_BY_STATUS: Mapping[int, HoldReason] = {
    HTTPStatus.IM_A_TEAPOT: HoldReason.BANNED,
    HTTPStatus.TOO_MANY_REQUESTS: HoldReason.RATE_LIMITED,
    HTTPStatus.SERVICE_UNAVAILABLE: HoldReason.OVERLOADED,
}


class DialGate:
    """The gate of one venue, shared by everything in this process that dials it."""

    def __init__(self, clock: Clock, hold: VenueHold, limit: DialLimit) -> None:
        self.hold = hold
        self.budget = DialBudget(limit)
        self._clock = clock
        self._queue = anyio.Lock()
        self._private_queue = anyio.Lock()
        self._private_waiting = 0

    def use_instances(self, instances: int) -> None:
        """Divide the dials by *instances* from now on."""
        self.budget.use(dial_limit(instances))

    async def admit(self, *, private: bool = False) -> None:
        """Wait until a dial is allowed, and count it; first come, first served.

        A *private* one, of an account's stream, has dials that are reserved for it, and goes before
        every other.
        """
        if private:
            await self._admit_private()
            return
        async with self._queue:
            # A hold may grow while a dial waits for its end.
            while (wait_ms := self.wait_ms()) > 0 or self._private_waiting:
                await self._clock.sleep_ms(wait_ms or self.budget.limit.spacing_ms)
            self.budget.take(self._clock.monotonic_ms())

    async def _admit_private(self) -> None:
        self._private_waiting += 1
        try:
            async with self._private_queue:
                while (wait_ms := self.wait_ms(private=True)) > 0:
                    await self._clock.sleep_ms(wait_ms)
                self.budget.take(self._clock.monotonic_ms())
        finally:
            self._private_waiting -= 1

    def wait_ms(self, *, private: bool = False) -> float:
        """How long until the next dial is allowed; 0 when it is."""
        now_ms = self._clock.monotonic_ms()
        return max(self.hold.dials_wait_ms(now_ms), self.budget.wait_ms(now_ms, private=private))

    def record_refused_upgrade(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Hold as a refused upgrade asks; *headers* must ignore case."""
        if status not in _REASON_BY_STATUS:
            return
        banned = status in RATE_LIMITED_STATUSES
        scope = HoldScope.ALL if banned else HoldScope.DIALS
        words = sanitize(body.decode("utf-8", "replace"))
        cause = f"an upgrade was refused with {status} {words}".rstrip()
        now_ms = self._clock.monotonic_ms()
        asked_ms = max(
            retry_after_s(headers, 0) * 1000,
            ban_left_ms(body, headers, self._clock.now_ms()) if banned else 0,
        )
        reason = _REASON_BY_STATUS[status]
        self.hold.complaints[reason, CALLER] += 1
        if asked_ms > 0:
            self.hold.hold(scope, asked_ms, cause, now_ms, reason)
        elif banned:
            self.hold.hold_for_policy(scope, cause, now_ms, reason)

    def record_close(self, code: int, reason: str) -> None:
        """Hold dials after a close that says that a limit was broken."""
        if code == POLICY_VIOLATION or _TOO_MANY in reason.lower():
            self._hold_dials(f"a socket was closed with {code} {sanitize(reason)}".rstrip())

    def record_refused_request(self, message: str) -> None:
        """Hold dials after a request on a socket was refused because there were too many."""
        if _TOO_MANY in message.lower():
            self._hold_dials(f"a subscription was refused: {sanitize(message)}")

    def record_limited_reply(self, status: int, wait_ms: float, message: str) -> None:
        """Hold dials and requests after a request on a socket was answered 429 or 418; *wait_ms* is
        0 where the reply does not say how long.
        """
        reason = _REASON_BY_STATUS.get(status, HoldReason.RATE_LIMITED)
        cause = f"a request on a socket was answered {status} {sanitize(message)}".rstrip()
        now_ms = self._clock.monotonic_ms()
        self.hold.complaints[reason, CALLER] += 1
        if wait_ms > 0:
            self.hold.hold(HoldScope.ALL, wait_ms, cause, now_ms, reason)
        else:
            self.hold.hold_for_policy(HoldScope.ALL, cause, now_ms, reason)

    def report(self) -> VenueLimitsReport:
        now_ms = self._clock.monotonic_ms()
        hold = self.hold.current(now_ms)
        return VenueLimitsReport(
            dials=self.budget.used(now_ms),
            dials_max=self.budget.limit.public,
            dial_wait_ms=self.budget.wait_ms(now_ms),
            held_ms=0.0 if hold is None else hold.until_ms - now_ms,
            hold=hold,
            holds=self.hold.count,
            dials_total=self.budget.total,
        )

    def _hold_dials(self, cause: str) -> None:
        self.hold.complaints[HoldReason.POLICY, CALLER] += 1
        self.hold.hold_for_policy(HoldScope.DIALS, cause, self._clock.monotonic_ms())


def dial_gates(
    clock: Clock, holds: Mapping[Venue, VenueHold], instances: int
) -> dict[Venue, DialGate]:
    """One for each venue; *instances* share the address."""
    return {venue: DialGate(clock, holds[venue], dial_limit(instances)) for venue in Venue}
