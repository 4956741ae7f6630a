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
from chimera_s1.adapters.simulator.streams.frames import text_header
from chimera_s1.adapters.simulator.streams.listen_keys import ExpiredKey, ListenKeys
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.stream_names import StreamRoute

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

    def __init__(self, hub: StreamHub, keys: ListenKeys, clock: ScaledClock) -> None:
        self.without_events = Delivery.ALL
        self.path_form = Delivery.ALL
        self.keys = keys
        self.sent = 0
        self._hub = hub
        self._clock = clock

    async def run(self) -> None:
        """Announce keys that expire, until cancelled."""
        while True:
            for expired in self.keys.take_expired():
                self._send(expired.key, _expiry_event(expired))
            await self._clock.sleep_until(self.keys.next_expiry_ms)

    def publish(self, event: Event) -> None:
        """Send *event* to all connections with the valid key."""
        for expired in self.keys.take_expired():
            self._send(expired.key, _expiry_event(expired))
        for key in self._named_keys():
            if self.keys.is_valid(key):
                self._send(key, event)

    def _named_keys(self) -> set[str]:
        return {name for session in self._private() for name in session.subscriptions}

    def _private(self) -> list[Session]:
        sessions = tuple(self._hub.sessions)
        return [each for each in sessions if each.path.route is StreamRoute.PRIVATE]

    def _send(self, key: str, event: Event) -> None:
        payload = orjson.dumps(event)
        for session in self._private():
            if key in session.subscriptions and self._is_wanted(session, key, event["e"]):
                self.sent += 1
                session.outbox += _pieces(session, key, payload)
                session.flush()

    def _is_wanted(self, session: Session, key: str, name: str) -> bool:
        path = session.path
        if key in path.user_events:
            events = path.user_events[key]
            return self.without_events is Delivery.ALL if events is None else name in events
        return self.path_form is Delivery.ALL if key in path.streams else True


def _pieces(session: Session, key: str, payload: bytes) -> tuple[bytes, ...]:
    if session.combined:
        payload = b'{"stream":%b,"data":%b}' % (orjson.dumps(key), payload)
    return (text_header(len(payload)), payload)


def _expiry_event(expired: ExpiredKey) -> Event:
    """`E` is text, unlike in every other event."""
    return {"e": "listenKeyExpired", "E": str(expired.at_ms), "listenKey": expired.key}
