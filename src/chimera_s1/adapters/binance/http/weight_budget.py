"""What an exchange host lets us ask it, shared by all who ask.

A host counts the weight of requests per IP address and, under `/sapi`, per user. Beyond a limit it
answers 429, and 418 to those who go on, each with how long to stay away; bans grow from 2 minutes
to 3 days and hit every process behind the address (SPOT rest-api.md "LIMITS", USD-M "General
Info"). So whoever is told to stay away keeps all others of this process away as well.
"""

from collections.abc import Mapping

from chimera_s1.domain.identifiers import Venue
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
    """One host's.

    Attributes:
        used: Weight used in the exchange's present minute as it last said, by what it is counted
            for: `ip`, `sapi_ip`, `sapi_uid`.
    """

    def __init__(self, clock: Clock) -> None:
        self.used: dict[str, int] = {}
        self._clock = clock
        self._blocked_until_ms = 0.0

    def blocked_ms(self) -> float:
        """How long nothing may be asked; 0 when anything may."""
        return max(0.0, self._blocked_until_ms - self._clock.monotonic_ms())

    def record_reply(self, status: int, headers: Mapping[str, str]) -> None:
        """Take in what a reply says about the budget.

        Args:
            status: HTTP status.

            headers: Looked up regardless of case by their own type, like httpx2's.
        """
        for name, counted in _USED_WEIGHT_HEADERS.items():
            weight = _parse_digits(headers.get(name, ""))
            if weight is not None:
                self.used[counted] = weight
        if status in RATE_LIMITED_STATUSES:
            self.block(retry_after_s(headers) * 1000)

    def block(self, duration_ms: float) -> None:
        """Let nobody ask for *duration_ms*; what was said before is never shortened."""
        until_ms = self._clock.monotonic_ms() + duration_ms
        self._blocked_until_ms = max(self._blocked_until_ms, until_ms)


def weight_budgets(clock: Clock) -> dict[Venue, WeightBudget]:
    """One for each host; to be shared by all that talk to them."""
    return {venue: WeightBudget(clock) for venue in Venue}


def retry_after_s(headers: Mapping[str, str], default_s: int = RETRY_AFTER_DEFAULT_S) -> int:
    """How long a reply asks us to stay away, s; *default_s* where it does not say so in whole
    seconds.
    """
    wait_s = _parse_digits(headers.get("Retry-After", ""))
    return default_s if wait_s is None else min(wait_s, RETRY_AFTER_MAX_S)


def _parse_digits(text: str) -> int | None:
    plain = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    return int(text) if plain else None
