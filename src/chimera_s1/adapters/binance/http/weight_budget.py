"""The request limits of one host, shared by every client of it in this process.

A host counts the weight of requests per IP address and, under `/sapi`, per user. Beyond a limit it
replies 429, and 418 to clients that go on, each with a time to wait; bans grow from 2 minutes to
3 days and hit every process behind the address (SPOT rest-api.md "LIMITS", USD-M "General Info").
So no request is sent that could pass a limit, and a rate limit reported to one caller holds all of
them, and the sockets of the venue, too.
"""

from collections.abc import Mapping

import anyio

from chimera_s1.adapters.binance.http.ban import ban_left_ms
from chimera_s1.adapters.binance.http.request_limits import LIMITS, read_reports
from chimera_s1.domain.errors import RequestNotAdmittedError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Shortage
from chimera_s1.domain.operations.request_budget import (
    Place,
    RequestBudget,
    RequestCall,
    RequestOutcome,
    Ticket,
    is_never,
    is_queued,
)
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope, VenueHold
from chimera_s1.domain.ports.clock import Clock

RETRY_AFTER_DEFAULT_S = 60
RETRY_AFTER_MAX_S = 259_200
BANNED_STATUS = 418
RATE_LIMITED_STATUSES = frozenset({BANNED_STATUS, 429})

_DIGITS_MAX = 9


class WeightBudget:
    """Attributes:
    requests: What is used of each limit, and who waits.
    """

    def __init__(
        self, venue: Venue, clock: Clock, hold: VenueHold | None = None, instances: int = 1
    ) -> None:
        self.requests = RequestBudget(LIMITS[venue], instances)
        self._venue = venue
        self._clock = clock
        # Without a hold to share: nothing else in this process uses the venue.
        self._hold = hold or VenueHold()
        self._changed = anyio.Event()

    def blocked_ms(self) -> float:
        """How long no request may be sent; 0 when one may."""
        return self._hold.requests_wait_ms(self._clock.monotonic_ms())

    def hold_sentence(self) -> str:
        """Why no request may be sent now; empty if one may."""
        blocked_ms = self.blocked_ms()
        return f"rate limited for another {blocked_ms / 1000:.0f} s" if blocked_ms > 0 else ""

    async def admit(self, call: RequestCall) -> Ticket:
        """Wait for room for *call*, as long as it may wait, and count it as sent.

        Raises:
            RequestNotAdmittedError: The host is held, or there is no room in time.
        """
        taken = self._take(call, None)
        if isinstance(taken, Ticket):
            self._count(call, RequestOutcome.SENT)
            return taken
        self._refuse_long_wait(call, taken, call.longest_wait_ms)
        place = self.requests.join(call)
        if place is None:
            raise self._refused(call, RequestOutcome.QUEUE_FULL, taken)
        try:
            return await self._wait_for_room(call, place, taken)
        finally:
            self.requests.leave(place)
            self._wake()

    def give_back(self, ticket: Ticket) -> None:
        """The request of *ticket* was not sent."""
        self._count(ticket.call, RequestOutcome.NOT_SENT)
        self.requests.give_back(ticket)
        self._wake()

    def settle(self, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """The request has ended, with a reply or, where *status* is 0, without; *headers* must
        ignore case, like httpx2's. Without effect once it was given back.
        """
        reports = read_reports(self._venue, headers) if status else {}
        self.requests.settle(ticket, reports, self._clock.monotonic_ms())
        self._wake()
        if status in RATE_LIMITED_STATUSES:
            reason = HoldReason.BANNED if status == BANNED_STATUS else HoldReason.RATE_LIMITED
            cause = f"a request was answered {status}"
            self.complain(reason, ticket.call.caller)
            self.block(retry_after_s(headers) * 1000, cause, reason=reason)

    def complain(self, reason: HoldReason, caller: str) -> None:
        """Count what the host complained of."""
        self._hold.complaints[reason, caller] += 1

    def block(
        self,
        duration_ms: float,
        cause: str,
        scope: HoldScope = HoldScope.ALL,
        reason: HoldReason = HoldReason.RATE_LIMITED,
    ) -> None:
        """Hold requests, dials or both for *duration_ms*; never shortens an earlier hold."""
        self._hold.hold(scope, duration_ms, cause, self._clock.monotonic_ms(), reason)

    def block_while_banned(self, body: bytes, headers: Mapping[str, str], cause: str) -> None:
        """Hold everything until the time in *body*, if it announces a ban."""
        left_ms = ban_left_ms(body, headers, self._clock.now_ms())
        self.block(left_ms, cause, reason=HoldReason.BANNED)

    def _take(self, call: RequestCall, place: Place | None) -> Ticket | Shortage:
        if held := self.hold_sentence():
            self._count(call, RequestOutcome.HELD)
            raise RequestNotAdmittedError(held, self.blocked_ms())
        return self.requests.take(call, self._clock.monotonic_ms(), place)

    async def _wait_for_room(self, call: RequestCall, place: Place, short: Shortage) -> Ticket:
        ends_ms = self._clock.monotonic_ms() + call.longest_wait_ms
        while True:
            left_ms = ends_ms - self._clock.monotonic_ms()
            self._refuse_long_wait(call, short, left_ms)
            await self._wait(short.wait_ms or left_ms)
            taken = self._take(call, place)
            if isinstance(taken, Ticket):
                self._count(call, RequestOutcome.WAITED)
                return taken
            short = taken

    async def _wait(self, duration_ms: float) -> None:
        """Until something ended, but at most *duration_ms*."""
        changed = self._changed
        async with anyio.create_task_group() as tasks:

            async def wake() -> None:
                await self._clock.sleep_ms(duration_ms)
                tasks.cancel_scope.cancel()

            tasks.start_soon(wake)
            await changed.wait()
            tasks.cancel_scope.cancel()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _refuse_long_wait(self, call: RequestCall, short: Shortage, left_ms: float) -> None:
        if left_ms <= 0 or short.wait_ms > left_ms:
            raise self._refused(call, RequestOutcome.NO_ROOM, short)

    def _refused(
        self, call: RequestCall, outcome: RequestOutcome, short: Shortage
    ) -> RequestNotAdmittedError:
        self._count(call, outcome)
        what = f"{call.caller} needs {short.weight} of {short.bucket}"
        if is_never(short):
            share = "await replies for" if short.unreported else "use"
            text = f"{what}, but this instance may {share} {short.allowed} in all"
        elif is_queued(short):
            text = f"{what}: there is room, for requests that wait already and go first"
        else:
            used = "await their replies" if short.unreported else "are used"
            text = (
                f"{what}, {short.used} {used} and {call.priority.name} requests stop at "
                f"{short.allowed}; room {_when(short.wait_ms)}"
            )
        if outcome is RequestOutcome.QUEUE_FULL:
            text = f"{text}; {self.requests.waiting} requests wait already"
        return RequestNotAdmittedError(f"not sent: {text}", short.wait_ms)

    def _count(self, call: RequestCall, outcome: RequestOutcome) -> None:
        self.requests.outcomes[call.caller, outcome] += 1


def weight_budgets(
    clock: Clock, holds: Mapping[Venue, VenueHold] | None = None, instances: int = 1
) -> dict[Venue, WeightBudget]:
    """One for each host, to be shared by all clients of the process."""
    return {
        venue: WeightBudget(venue, clock, holds[venue] if holds else None, instances)
        for venue in Venue
    }


def retry_after_s(headers: Mapping[str, str], default_s: int = RETRY_AFTER_DEFAULT_S) -> int:
    """The `Retry-After` of a reply, at most 3 days; *default_s* where it is not whole seconds."""
    wait_s = _parse_digits(headers.get("Retry-After", ""))
    return default_s if wait_s is None else min(wait_s, RETRY_AFTER_MAX_S)


def _when(wait_ms: float) -> str:
    return f"in {wait_ms / 1000:.0f} s at the earliest" if wait_ms else "when replies have come"


def _parse_digits(text: str) -> int | None:
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return int(text) if plain else None
