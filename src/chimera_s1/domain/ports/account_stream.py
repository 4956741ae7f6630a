"""Port: the private stream of one venue."""

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol, TypeAlias

from msgspec import Struct

from chimera_s1.domain.execution.reports import AccountReport
from chimera_s1.domain.identifiers import Venue


class StreamResumed(Struct, frozen=True, kw_only=True):
    """Events may have been missed before this moment: reconcile. The first one is the start.

    Attributes:
        cause: Why the stream was interrupted, or is not trusted.
        missing_since_ms: Local epoch ms of the last sign of life before; 0 at the start.
    """

    cause: str
    missing_since_ms: int


class AccountChanged(Struct, frozen=True, kw_only=True):
    """The account's configuration, or what it may do, has changed: read it again."""

    what: str


StreamEvent: TypeAlias = AccountReport | StreamResumed | AccountChanged


class StreamCondition(StrEnum):
    DISCONNECTED = "disconnected"
    CONNECTED = "connected"
    """Subscribed; nothing was heard that proves that it delivers."""
    PROVEN = "proven"
    """It has delivered an event since it was connected, and none that was due is missing."""


class StreamReport(Struct, frozen=True, kw_only=True):
    """Times are local epoch ms; 0 where there was none."""

    condition: StreamCondition
    since_ms: int
    last_event_ms: int
    problem: str
    reconnects: int
    events: int


class AccountStream(Protocol):
    @property
    def venue(self) -> Venue: ...

    async def run(self, deliver: Callable[[StreamEvent], None]) -> None:
        """Keep the stream open until cancelled. *deliver* must not block."""
        ...

    def renew(self, cause: str) -> None:
        """The stream is deaf: connect again, with a new subscription or key."""
        ...

    def report(self) -> StreamReport: ...
