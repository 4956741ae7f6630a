"""Rate limit of one caller: a token bucket."""

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError


class RateLimit(Struct, frozen=True):
    """*per_s* requests per second on average, *burst* at once after a pause."""

    per_s: int
    burst: int

    def __post_init__(self) -> None:
        if self.per_s <= 0 or self.burst <= 0:
            raise InvalidValueError(
                "a rate limit needs a rate and a burst of at least 1, "
                f"not {self.per_s}/s and {self.burst}"
            )

    def initial_allowance(self, now_ms: float) -> "Allowance":
        return Allowance(float(self.burst), now_ms)

    def take(self, allowance: "Allowance", now_ms: float) -> "Allowance | Exceeded":
        """The allowance after one more request at *now_ms* (monotonic)."""
        gained = max(0.0, now_ms - allowance.at_ms) * self.per_s / 1000
        has = min(self.burst, allowance.requests + gained)
        if has < 1:
            return Exceeded((1 - has) * 1000 / self.per_s)
        return Allowance(has - 1, now_ms)


class Allowance(Struct, frozen=True):
    """Requests left at *at_ms* (monotonic); a request needs a whole one."""

    requests: float
    at_ms: float


class Exceeded(Struct, frozen=True):
    """The limit is exceeded; the next request is allowed after *wait_ms*."""

    wait_ms: float
