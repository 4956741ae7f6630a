"""Health report of the funding estimates."""

from typing import Final

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.health import Level, count
from chimera_s1.domain.operations.reconnect import RECONNECT_GRACE_MS

SILENT_MS: Final = 10_000
"""The stream sends two messages each second."""
WRITE_GRACE_MS: Final = 30_000
"""A replica of Redis takes over after 15 s by default, and an election."""

_NAMES_SHOWN = 5


class EstimatesReport(Struct, frozen=True, kw_only=True):
    """Attributes:
    age_ms: Of the last message of the mark price stream; None before the first.
    contracts: That have funding, of the whole exchange.
    published: Events written since the start.
    publishing: This instance publishes; False on a standby.
    waiting: Contracts whose newest estimate is not written yet.
    withheld: The kill switch is on.
    cause: Why the last write has failed, at least in part; empty if it has not.
    unreadable: Rows and messages that could not be read, since the start.
    unknown: Contracts in the stream that the registry does not list.
    """

    connected: bool
    age_ms: float | None
    contracts: int
    published: int
    publishing: bool
    waiting: int
    withheld: bool
    cause: str
    unreadable: int
    unknown: tuple[Symbol, ...]

    @property
    def level(self) -> Level:
        """ORANGE: consumers get no estimates, or not of every contract."""
        return Level.ORANGE if self._silent or self.cause else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return RECONNECT_GRACE_MS if self._silent else WRITE_GRACE_MS

    @property
    def sentence(self) -> str:
        return "; ".join(filter(None, (self._receiving, self._writing, self._passed_over)))

    @property
    def _silent(self) -> bool:
        return not self.connected or self.age_ms is None or self.age_ms > SILENT_MS

    @property
    def _receiving(self) -> str:
        if self.age_ms is None:
            return f"no message of the mark price stream yet: {_CHECK}"
        age = f"{self.age_ms / 1000:.0f} s ago"
        if not self.connected:
            return f"mark price stream not connected, last message {age}: {_CHECK}"
        if self._silent:
            return f"mark price stream connected but silent, last message {age}: {_CHECK}"
        return f"estimates of {count(self.contracts, 'contract')}, last message {age}"

    @property
    def _writing(self) -> str:
        written = count(self.published, "event") + " written"
        if not self.publishing:
            return "standby: another instance publishes them"
        if self.withheld:
            return f"{written}; the kill switch holds back {count(self.waiting, 'estimate')}"
        if self.cause:
            return (
                f"Redis does not take every estimate ({self.cause}): check it; the newest of each "
                f"contract waits, {self.waiting} now"
            )
        return written

    @property
    def _passed_over(self) -> str:
        parts = []
        if self.unknown:
            names = ", ".join(self.unknown[:_NAMES_SHOWN])
            more = " and others" if len(self.unknown) > _NAMES_SHOWN else ""
            parts.append(f"not in the registry, so not published: {names}{more}")
        if self.unreadable:
            parts.append(f"{self.unreadable} rows or messages could not be read (see the log)")
        return "; ".join(parts)


_CHECK = "reconnecting; if it lasts, check the network and the exchange's status page"
