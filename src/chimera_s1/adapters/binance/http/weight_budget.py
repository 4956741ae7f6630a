"""The request limits of one host, shared by every client of it in this process.

A host counts the weight of requests per IP address and, under `/sapi`, per user. Beyond a limit it
replies 429, and 418 to clients that go on, each with a time to wait; bans grow from 2 minutes to
3 days and hit every process behind the address (SPOT rest-api.md "LIMITS", USD-M "General Info").
So a rate limit reported to one caller holds all of them, and the sockets of the venue, too.
"""

from collections.abc import Mapping

from chimera_s1.adapters.binance.http.ban import ban_left_ms
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import HoldScope, VenueHold
from chimera_s1.domain.ports.clock import Clock

RETRY_AFTER_DEFAULT_S = 60
RETRY_AFTER_MAX_S = 259_200
RATE_LIMITED_STATUSES = frozenset({418, 429})

_USED_WEIGHT_HEADERS = {
    "X-MBX-USED-WEIGHT-1M": "ip",
    "X-SAPI-USED-IP-WEIGHT-1M": "sapi_ip",
    "X-SAPI-USED-UID-WEIGHT-1M": "sapi_uid",
}
_DIGITS_MAX = 9


class WeightBudget:
    """Attributes:
    used: Weight used in the current minute, as the host last reported it, by what it is counted
        for: `ip`, `sapi_ip`, `sapi_uid`.
    """

    def __init__(self, clock: Clock, hold: VenueHold | None = None) -> None:
        self.used: dict[str, int] = {}
        self._clock = clock
        # Without a hold to share: nothing else in this process uses the venue.
        self._hold = hold or VenueHold()

    def blocked_ms(self) -> float:
        """How long no request may be sent; 0 when one may."""
        return self._hold.requests_wait_ms(self._clock.monotonic_ms())

    def record_reply(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the used weight and any time to wait; *headers* must ignore case, like httpx2's."""
        for name, counted in _USED_WEIGHT_HEADERS.items():
            weight = _parse_digits(headers.get(name, ""))
            if weight is not None:
                self.used[counted] = weight
        if status in RATE_LIMITED_STATUSES:
            self.block(retry_after_s(headers) * 1000, f"a request was answered {status}")

    def block(self, duration_ms: float, cause: str, scope: HoldScope = HoldScope.ALL) -> None:
        """Hold requests, dials or both for *duration_ms*; never shortens an earlier hold."""
        self._hold.hold(scope, duration_ms, cause, self._clock.monotonic_ms())

    def block_while_banned(self, body: bytes, headers: Mapping[str, str], cause: str) -> None:
        """Hold everything until the time in *body*, if it announces a ban."""
        self.block(ban_left_ms(body, headers, self._clock.now_ms()), cause)


def weight_budgets(
    clock: Clock, holds: Mapping[Venue, VenueHold] | None = None
) -> dict[Venue, WeightBudget]:
    """One for each host, to be shared by all clients of the process."""
    return {venue: WeightBudget(clock, holds[venue] if holds else None) for venue in Venue}


def retry_after_s(headers: Mapping[str, str], default_s: int = RETRY_AFTER_DEFAULT_S) -> int:
    """The `Retry-After` of a reply, at most 3 days; *default_s* where it is not whole seconds."""
    wait_s = _parse_digits(headers.get("Retry-After", ""))
    return default_s if wait_s is None else min(wait_s, RETRY_AFTER_MAX_S)


def _parse_digits(text: str) -> int | None:
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return int(text) if plain else None
