"""Exponential back-off with jitter."""

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError

_EXPONENT_MAX = 62  # 2**62 ms exceeds every cap; a larger exponent only makes large integers


class Backoff(Struct, frozen=True):
    """`wait = min(max_wait, base * 2^retry_count) + U(0, jitter)`, all ms."""

    base_ms: int = 500
    max_wait_ms: int = 30_000
    jitter_ms: int = 500

    def __post_init__(self) -> None:
        if self.base_ms <= 0 or self.max_wait_ms < self.base_ms or self.jitter_ms < 0:
            raise InvalidValueError(
                "back-off needs 0 < base <= max wait and jitter >= 0, "
                f"not {self.base_ms}, {self.max_wait_ms} and {self.jitter_ms} ms"
            )

    def wait_ms(self, retry_count: int, draw: float) -> float:
        """Ms before retry *retry_count* (from 0); *draw* is uniform in [0, 1)."""
        steady: float = min(self.max_wait_ms, self.base_ms * 2 ** min(retry_count, _EXPONENT_MAX))
        return steady + draw * self.jitter_ms
