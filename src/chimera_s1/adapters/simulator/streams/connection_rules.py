"""Connection rules of the two venues.

Binance, Spot "WebSocket Streams" (general information) and USD-M "WebSocket Market Streams"
(connect): pings, pong deadline, inbound messages per second.
"""

from msgspec import Struct

from chimera_s1.domain.identifiers import Venue

LIFETIME_MS = 24 * 3_600_000
SHUTDOWN_LEAD_MS = 2_000
"""From `serverShutdown` to the end of the connection; Binance promises no lead time at all."""

_SECOND_MS = 1_000


class ConnectionRules(Struct, frozen=True, kw_only=True):
    """All times are exchange time, so a fast clock shortens them."""

    ping_every_ms: int
    pong_within_ms: int
    inbound_per_second: int


CONNECTION_RULES = {
    Venue.SPOT: ConnectionRules(ping_every_ms=20_000, pong_within_ms=60_000, inbound_per_second=5),
    Venue.PERP: ConnectionRules(
        ping_every_ms=180_000, pong_within_ms=600_000, inbound_per_second=10
    ),
}

WS_API_RULES = ConnectionRules(ping_every_ms=20_000, pong_within_ms=60_000, inbound_per_second=300)
"""Binance names no limit of messages here; the weight of requests is limited."""


class InboundLimit:
    """Messages a client may send in any second: pings, pongs and JSON alike."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._received_ms: list[int] = []

    def exceeded(self, now_ms: int) -> bool:
        """Count one message at *now_ms*; True if it exceeds the limit."""
        self._received_ms = [at for at in self._received_ms if now_ms - at < _SECOND_MS]
        self._received_ms.append(now_ms)
        return len(self._received_ms) > self._per_second
