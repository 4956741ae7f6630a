"""One connection with streams: its path and its subscriptions."""

from typing import Protocol

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.streams.connection import POLICY_VIOLATION, Connection
from chimera_s1.adapters.simulator.streams.connection_rules import ConnectionRules
from chimera_s1.adapters.simulator.streams.control_messages import (
    STREAMS_MAX,
    SubscriptionChanges,
    reply_to,
)
from chimera_s1.adapters.simulator.streams.stream_names import ConnectionPath, StreamRoute
from chimera_s1.adapters.simulator.streams.topic import FrameShape
from chimera_s1.adapters.simulator.time_unit import in_microseconds


class SessionOwner(Protocol):
    """Keeps the connections of a venue."""

    def add(self, session: "Session") -> None: ...

    def remove(self, session: "Session") -> None: ...

    def change_subscriptions(self, session: "Session", changes: SubscriptionChanges) -> None: ...


class Session(Connection):
    """The server side of one connection with streams.

    Attributes:
        skipped: How many frames were skipped.
    """

    def __init__(
        self, path: ConnectionPath, rules: ConnectionRules, clock: ScaledClock, owner: SessionOwner
    ) -> None:
        super().__init__(rules, clock)
        self.path = path
        self.combined = path.combined
        self.skipped = 0
        self._owner = owner

    @property
    def is_user_stream(self) -> bool:
        return self.path.route is StreamRoute.PRIVATE

    def on_opened(self) -> None:
        """Subscribe the streams of the URL."""
        self._owner.add(self)
        if len(set(self.path.streams)) > STREAMS_MAX:
            self.close(POLICY_VIOLATION, "Too many subscriptions")
            return
        self._owner.change_subscriptions(self, SubscriptionChanges(subscribe=self.path.streams))

    def on_closed(self) -> None:
        self._owner.remove(self)

    def on_text(self, text: bytes) -> None:
        control = reply_to(text, subscribed=list(self.subscriptions), combined=self.combined)
        # The reply leaves before the first frame of the stream it acknowledges.
        self.send_text(control.reply)
        if control.close:
            self.close(POLICY_VIOLATION, "Too many subscriptions")
            return
        self._owner.change_subscriptions(self, control.changes)

    @property
    def shape(self) -> FrameShape:
        return FrameShape(self.combined, self.path.microseconds)

    def shutdown_notice(self, now_ms: int) -> bytes:
        event = b'{"e":"serverShutdown","E":%d}' % now_ms
        if self.path.microseconds:
            event = in_microseconds(event)
        return b'{"stream":"!serverShutdown","data":%b}' % event if self.combined else event
