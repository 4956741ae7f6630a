"""How long a signed request has waited: a late one is not sent."""

from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.order_gateway import SignedRequest

SEND_AGE_MAX_MS = 1_000
"""Half of the receive window is left for the way to the exchange."""


class RequestAge(Struct, frozen=True, kw_only=True):
    """Attributes:
    signed_at_ms: Timestamp in the request, exchange epoch ms.
    since_ms: Monotonic, when the signature was there.
    exchange_ms: The exchange's clock; raises ClockUncertainError.
    """

    signed_at_ms: int
    since_ms: float
    clock: Clock
    exchange_ms: Callable[[], float]

    def obstacle(self) -> str:
        """Why the request may not be sent any more; empty if it may."""
        age_ms = self._age_ms()
        if age_ms <= SEND_AGE_MAX_MS:
            return ""
        return (
            f"signed {age_ms:.0f} ms ago, more than {SEND_AGE_MAX_MS} ms: it could arrive too late"
        )

    def _age_ms(self) -> float:
        """The larger of two clocks: one may have been corrected, the other stops in a suspend."""
        waited_ms = self.clock.monotonic_ms() - self.since_ms
        try:
            return max(waited_ms, self.exchange_ms() - self.signed_at_ms)
        except ClockUncertainError:
            return waited_ms


def age_of(signed: SignedRequest, clock: Clock, exchange_ms: Callable[[], float]) -> RequestAge:
    """Begin to count right after the request was signed."""
    return RequestAge(
        signed_at_ms=signed.signed_at_ms,
        since_ms=clock.monotonic_ms(),
        clock=clock,
        exchange_ms=exchange_ms,
    )
