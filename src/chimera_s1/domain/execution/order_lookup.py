"""Look up an order whose placement has an unknown outcome, until the outcome is certain.

An order that is found was placed. One that is not found may still be on its way, or be hidden by a
query that lags behind the matching engine: it is absent after several lookups, the last of which
began when the request could no longer be accepted and an accepted order would have been visible.
"""

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.domain.operations.backoff import Backoff

QUERY_LAG_MS = 5_000
"""An order younger than this may be missing in a query."""

LOOKUPS_MIN = 3
SETTLING_MS = 2_000
"""At least so long after the receive window."""

KEPT_MS = 90 * 86_400_000
"""An older order is missing in queries even if it has fills (USD-M "Query Order"). One that was
cancelled without a fill is missing after 3 days: for us, that is the same as absent.
"""

LOOKUP_BACKOFF = Backoff(base_ms=250, max_wait_ms=15_000, jitter_ms=50)


class OrderLookup(Struct, frozen=True, kw_only=True):
    """The lookups of one order so far. All times are of the exchange's clock, epoch ms.

    Attributes:
        not_found: Lookups that did not find it.
        failures: Lookups without a reply, since the last one that had one.
    """

    signed_at_ms: int
    recv_window_ms: int
    not_found: int = 0
    failures: int = 0

    @property
    def decisive_from_ms(self) -> int:
        """A lookup that begins now or later sees the order if it was placed."""
        return self.signed_at_ms + self.recv_window_ms + max(SETTLING_MS, QUERY_LAG_MS)

    def after_not_found(self) -> "OrderLookup":
        return replace(self, not_found=self.not_found + 1, failures=0)

    def after_failure(self) -> "OrderLookup":
        return replace(self, failures=self.failures + 1)

    def proves_absence(self, begun_ms: float | None) -> bool:
        """Whether the order is absent. The last lookup did not find it, and began at *begun_ms* or
        later; None if the exchange's clock was unknown.
        """
        return (
            begun_ms is not None
            and self.not_found >= LOOKUPS_MIN
            and self.decisive_from_ms <= begun_ms <= self.signed_at_ms + KEPT_MS
        )

    def too_old_to_prove(self, begun_ms: float | None) -> bool:
        """The exchange may have forgotten the order: only a person can find out."""
        return begun_ms is not None and begun_ms > self.signed_at_ms + KEPT_MS

    def wait_ms(self, exchange_ms: float | None, draw: float) -> float:
        """Before the next lookup. The one that may be the last is not later than it must be."""
        steady = LOOKUP_BACKOFF.wait_ms(self.not_found + self.failures, draw)
        if exchange_ms is None or self.failures or self.not_found + 1 < LOOKUPS_MIN:
            return steady
        if self.too_old_to_prove(exchange_ms):
            return steady
        # A reply that came after the decisive moment is of a lookup that began before it.
        left_ms = max(self.decisive_from_ms - exchange_ms, LOOKUP_BACKOFF.base_ms)
        return min(steady, left_ms)
