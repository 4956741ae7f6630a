"""Limit the requests that need no token: public paths, and those that are refused without one.

Each connection has a budget, and all together have one. A request that comes `PAUSE_MS` after the
last answer on its connection, or is the first one, is always answered: neither a scraper that asks
every second nor a health check with a connection of its own is refused, whatever others do.
"""

from math import ceil
from typing import Any

from litestar.connection import ASGIConnection
from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.rate_limit import Allowance, Exceeded, RateLimit
from chimera_s1.domain.ports.clock import Clock

OF_A_CONNECTION = RateLimit(per_s=50, burst=100)
OF_ALL = RateLimit(per_s=200, burst=400)
PAUSE_MS = 500
CONNECTIONS_KEPT = 1_024
"""More than may be open; the one that has not asked for the longest time is forgotten."""

Peer = tuple[str, int]
"""Address and port: one connection."""


def peer_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Peer:
    """The connection that *connection*, a request, has come on."""
    client = connection.client
    return (client.host, client.port) if client is not None else ("", 0)


class PublicRateError(ChimeraError):
    """A connection, or all together, send too many requests without a token."""

    code = "http.rate"

    def __init__(self, text: str, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class _Asked(Struct):
    allowance: Allowance
    answered_ms: float


class PublicBudget:
    """Attributes:
    refused: Requests refused so far.
    """

    def __init__(self, clock: Clock) -> None:
        self.refused = 0
        self._clock = clock
        self._all = OF_ALL.initial_allowance(clock.monotonic_ms())
        self._asked: dict[Peer, _Asked] = {}

    def take(self, peer: Peer) -> None:
        """Count a request of *peer*.

        Raises:
            PublicRateError: It is not answered.
        """
        now_ms = self._clock.monotonic_ms()
        asked = self._asked.pop(peer, None)  # put back at the end: the first is the oldest
        before = asked.allowance if asked else OF_A_CONNECTION.initial_allowance(now_ms)
        own, total = OF_A_CONNECTION.take(before, now_ms), OF_ALL.take(self._all, now_ms)
        paused = asked is None or now_ms - asked.answered_ms >= PAUSE_MS
        if asked is not None and not paused:
            for exceeded, subject in ((own, "this connection sends"), (total, "clients send")):
                if isinstance(exceeded, Exceeded):
                    self._asked[peer] = asked
                    self._refuse(subject, exceeded)
        if isinstance(total, Allowance):
            self._all = total
        self._asked[peer] = _Asked(own if isinstance(own, Allowance) else before, now_ms)
        if len(self._asked) > CONNECTIONS_KEPT:
            del self._asked[next(iter(self._asked))]

    def is_spent(self, peer: Peer) -> bool:
        """Count a request that is refused anyway; True where its connection should end."""
        try:
            self.take(peer)
        except PublicRateError:
            return True
        return False

    def _refuse(self, subject: str, exceeded: Exceeded) -> None:
        self.refused += 1
        raise PublicRateError(
            f"{subject} more requests without a token than the service answers: "
            f"{OF_A_CONNECTION.per_s} a second on a connection, {OF_ALL.per_s} in all; ask once a "
            "second at most, and a page that is the same for a second need not be asked for again",
            retry_after_s=max(1, ceil(exceeded.wait_ms / 1000)),
        )
