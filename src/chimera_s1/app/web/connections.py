"""The open connections of the HTTP server: how many there may be, and which one ends first.

A connection is *displaceable* while it has no request in progress, or while its reader does not
take the response. When a client connects at the maximum, the connection that has been idle the
longest ends for it. Requests in progress are limited below the maximum (`LimitRequests`), so there
is always one to displace.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from operator import attrgetter, itemgetter
from typing import Protocol

from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.operations.metrics import MetricSource, counter, gauge

CONNECTIONS_MAX = 512
CONNECTIONS_FEWEST = 64
"""Of these, `PROBE_RESERVE` are kept for probes."""
PROBE_RESERVE = 32
"""Connections that only requests for `/health`, `/ready` and `/metrics` may keep busy."""
OTHER_FILES = 256
"""Files the rest of the process may open: sockets to the exchange and to Redis, stores, log."""


class CloseReason(StrEnum):
    """Why the server ended a connection; a label of `s1_http_connections_closed_total`."""

    IDLE = "idle"
    DISPLACED = "displaced"
    FULL = "full"
    HEAD_TOO_LARGE = "head_too_large"
    HEAD_TIMEOUT = "head_timeout"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    MALFORMED = "malformed"
    PIPELINED = "pipelined"
    SLOW_READER = "slow_reader"


class OpenConnection(Protocol):
    """What `Connections` needs of a connection."""

    @property
    def idle_since(self) -> float | None:
        """Loop time since which it has no request in progress; None while it has one."""

    @property
    def stuck_since(self) -> float | None:
        """Loop time since which its reader does not take the response; None if it does."""

    def end_overdue(self, now: float) -> None:
        """End it if its deadline has passed."""

    def end(self, reason: CloseReason) -> None:
        """End it at once, without a response."""


class Connections:
    """Keeps the number of open connections at *maximum*, and counts why connections were ended."""

    def __init__(self, maximum: int = CONNECTIONS_MAX) -> None:
        self.maximum = maximum
        self.requests_max = maximum - PROBE_RESERVE
        self.closed: Counter[CloseReason] = Counter()
        self.requests_refused = 0
        # In the order of arrival, which decides where loop time (whole ms) does not.
        self._open: dict[OpenConnection, None] = {}

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def admit(self, connection: OpenConnection) -> bool:
        """Take *connection* in, displacing another one at the maximum; False if none can be."""
        if len(self._open) >= self.maximum:
            victim = _earliest(self._open, attrgetter("idle_since")) or _earliest(
                self._open, attrgetter("stuck_since")
            )
            if victim is None:
                self.closed[CloseReason.FULL] += 1
                return False
            # Removed now: the socket closes in this turn of the loop, its callback comes later.
            del self._open[victim]
            victim.end(CloseReason.DISPLACED)
        self._open[connection] = None
        return True

    def remove(self, connection: OpenConnection) -> None:
        self._open.pop(connection, None)

    def end_overdue(self, now: float) -> None:
        """End each connection whose deadline has passed; called once a second."""
        for connection in tuple(self._open):
            connection.end_overdue(now)


def connections_max(open_files: int) -> int:
    """How many connections a process that may open *open_files* files can accept.

    Raises:
        ConfigurationError: The limit is too low to serve anything.
    """
    left = open_files - OTHER_FILES
    if left < CONNECTIONS_FEWEST:
        raise ConfigurationError(
            f"this process may open {open_files} files and needs "
            f"{OTHER_FILES + CONNECTIONS_FEWEST}; raise the limit: ulimit -n, LimitNOFILE= of a "
            "systemd unit, or --ulimit nofile= of docker run"
        )
    return min(CONNECTIONS_MAX, left)


def connections_source(connections: Connections) -> MetricSource:
    """Open connections, and why the server ended others; a reason is left out before its first."""
    return lambda: [
        gauge("s1_http_connections", "Open HTTP connections.", connections.count),
        gauge("s1_http_connections_max", "HTTP connections at most.", connections.maximum),
        counter(
            "s1_http_requests_busy_total",
            "HTTP requests refused with 503 because too many were in progress.",
            connections.requests_refused,
        ),
        *(
            counter(
                "s1_http_connections_closed_total",
                "HTTP connections ended by the server, by reason.",
                count,
                reason=reason.value,
            )
            for reason, count in connections.closed.items()
        ),
    ]


def _earliest(
    connections: Iterable[OpenConnection], since: Callable[[OpenConnection], float | None]
) -> OpenConnection | None:
    found = [(began, each) for each in connections if (began := since(each)) is not None]
    return min(found, key=itemgetter(0))[1] if found else None
