"""A private stream that a test feeds."""

from collections.abc import Callable

import anyio

from chimera_s1.domain.execution.reports import AccountReport
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.account_stream import (
    AccountChanged,
    StreamCondition,
    StreamEvent,
    StreamReport,
    StreamResumed,
)


class FakeAccountStream:
    """Implements `domain.ports.account_stream.AccountStream`; it is connected once `run` is called.

    Attributes:
        renewals: The causes of all calls of `renew`.
        reconnects_by_itself: Whether `renew` connects again at once; otherwise call `connect`.
    """

    def __init__(self, venue: Venue, now_ms: Callable[[], int]) -> None:
        self.renewals: list[str] = []
        self.reconnects_by_itself = True
        self._venue = venue
        self._now_ms = now_ms
        self._deliver: Callable[[StreamEvent], None] | None = None
        self._condition = StreamCondition.DISCONNECTED
        self._since_ms = 0
        self._last_event_ms = 0
        self._problem = ""
        self._reconnects = 0
        self._events = 0

    @property
    def venue(self) -> Venue:
        return self._venue

    async def run(self, deliver: Callable[[StreamEvent], None]) -> None:
        self._deliver = deliver
        self._set(StreamCondition.CONNECTED)
        deliver(StreamResumed(cause="start", missing_since_ms=0))
        try:
            await anyio.sleep_forever()
        finally:
            self._deliver = None
            self._set(StreamCondition.DISCONNECTED)

    def renew(self, cause: str) -> None:
        self.renewals.append(cause)
        if self._condition is not StreamCondition.DISCONNECTED:
            self.disconnect(cause)
            if self.reconnects_by_itself:
                self.connect()

    def report(self) -> StreamReport:
        return StreamReport(
            condition=self._condition,
            since_ms=self._since_ms,
            last_event_ms=self._last_event_ms,
            problem=self._problem,
            reconnects=self._reconnects,
            events=self._events,
        )

    def send(self, *events: AccountReport | AccountChanged) -> None:
        """Deliver *events*: the stream is proven from now on."""
        assert self._deliver is not None, "`run` is not running"
        if self._condition is not StreamCondition.PROVEN:
            self._set(StreamCondition.PROVEN)
        self._last_event_ms = self._now_ms()
        for event in events:
            self._events += 1
            self._deliver(event)

    def disconnect(self, problem: str) -> None:
        self._problem = problem
        self._reconnects += 1
        self._set(StreamCondition.DISCONNECTED)

    def connect(self) -> None:
        """After `disconnect`: events since then are missing."""
        assert self._deliver is not None, "`run` is not running"
        problem, since_ms = self._problem, self._since_ms
        self._problem = ""
        self._set(StreamCondition.CONNECTED)
        self._deliver(StreamResumed(cause=problem, missing_since_ms=since_ms))

    def lose_a_message(self, cause: str) -> None:
        """A message of the open stream was unreadable: events may be missing."""
        assert self._deliver is not None, "`run` is not running"
        self._deliver(StreamResumed(cause=cause, missing_since_ms=self._last_event_ms))

    def _set(self, condition: StreamCondition) -> None:
        self._condition = condition
        self._since_ms = self._now_ms()
