"""Delivers the account's events to the connections on `/private`.

Binance, USD-M "User Data Streams" and the "Important WebSocket Change Notice". A connection names
the listenKey in its query (`/private/ws?listenKey=..&events=A/B`), in its path
(`/private/ws/<key>`) or in a SUBSCRIBE message. An unknown or expired key is accepted and delivers
nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.streams.frames import binary_frame, text_header
from chimera_s1.adapters.simulator.streams.listen_keys import ExpiredKey, ListenKeys
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamRoute
from chimera_s1.adapters.simulator.streams.user_stream_faults import UserEvent, UserStreamFaults

Event = Mapping[str, Any]


class Delivery(StrEnum):
    """Of a connection without `events`: reports about Binance differ."""

    ALL = "all"
    NOTHING = "nothing"


class PerpUserStreams:
    """Attributes:
    without_events: Delivery to connections whose query names a key and no `events`.
    path_form: Delivery to connections whose path names the key.
    sent: Events, counted once for each connection that got them.
    """

    def __init__(
        self, hub: StreamHub, keys: ListenKeys, faults: FaultRegistry, clock: ScaledClock
    ) -> None:
        self.without_events = Delivery.ALL
        self.path_form = Delivery.ALL
        self.keys = keys
        self.sent = 0
        self._hub = hub
        self._clock = clock
        self._faults = UserStreamFaults(hub.venue, faults, clock)

    async def run(self) -> None:
        """Announce keys that expire, until cancelled."""
        while True:
            self._announce_expired()
            await self._clock.sleep_until(self.keys.next_expiry_ms)

    def publish(self, event: Event) -> None:
        """Send *event* to all connections with the valid key."""
        self._announce_expired()
        self._deliver(self._faults.apply(UserEvent(event["e"], orjson.dumps(event))))

    def release_due(self) -> None:
        """Deliver what a fault delayed, where its time has come."""
        self._deliver(self._faults.due())

    def _announce_expired(self) -> None:
        for expired in self.keys.take_expired():
            self._deliver(self._faults.apply(_expiry_event(expired)))

    def _deliver(self, events: tuple[UserEvent, ...]) -> None:
        for event in events:
            for session in tuple(self._hub.sessions):
                if session.path.route is StreamRoute.PRIVATE and not session.silent:
                    self._send(session, event)

    def _send(self, session: Session, event: UserEvent) -> None:
        for key in session.subscriptions:
            named = event.listen_key == key if event.listen_key else self.keys.is_valid(key)
            if named and self._is_wanted(session, key, event.kind):
                self.sent += 1
                session.delivered = True
                session.outbox += _pieces(session, key, event)
        session.flush()

    def _is_wanted(self, session: Session, key: str, name: str) -> bool:
        path = session.path
        if key in path.user_events:
            events = path.user_events[key]
            return self.without_events is Delivery.ALL if events is None else name in events
        return self.path_form is Delivery.ALL if key in path.streams else True


def _pieces(session: Session, key: str, event: UserEvent) -> tuple[bytes, ...]:
    if event.binary:
        return (binary_frame(event.payload),)
    payload = event.payload
    if session.combined:
        payload = b'{"stream":%b,"data":%b}' % (orjson.dumps(key), payload)
    return (text_header(len(payload)), payload)


def _expiry_event(expired: ExpiredKey) -> UserEvent:
    """`E` is text, unlike in every other event."""
    kind = "listenKeyExpired"
    event = {"e": kind, "E": str(expired.at_ms), "listenKey": expired.key}
    return UserEvent(kind, orjson.dumps(event), listen_key=expired.key)
