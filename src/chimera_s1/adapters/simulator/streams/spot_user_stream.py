"""The spot account's events: from their source, through the faults, to all connections."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    WalletName,
    format_amount_fixed,
)
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.matching.events import SpotEvent
from chimera_s1.adapters.simulator.streams.spot_order_events import user_event
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub
from chimera_s1.adapters.simulator.streams.user_stream_faults import UserEvent, UserStreamFaults
from chimera_s1.adapters.simulator.streams.ws_api_connection import WsApiConnection


class SpotUserStream:
    """Attributes:
    connections: The open ones of the WebSocket API, subscribed or not.
    """

    def __init__(self, hub: StreamHub, faults: FaultRegistry, clock: ScaledClock) -> None:
        self.connections: dict[WsApiConnection, None] = {}
        self._hub = hub
        self._clock = clock
        self._faults = UserStreamFaults(hub.venue, faults, clock)

    def add(self, connection: WsApiConnection) -> None:
        self.connections[connection] = None
        self._hub.add_user_connection(connection)

    def remove(self, connection: WsApiConnection) -> None:
        self.connections.pop(connection, None)
        self._hub.remove_user_connection(connection)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Send *event*, which has its kind under `e`, to all subscribed connections."""
        self._deliver(self._faults.apply(UserEvent(event["e"], orjson.dumps(event))))

    def desk_changed(self, event: SpotEvent) -> None:
        self.publish(user_event(event, self._clock.now_ms()))

    def balance_updated(self, wallet: WalletName, change: Decimal, at_ms: int) -> None:
        """Send `balanceUpdate` if *wallet* is the spot wallet."""
        if wallet is WalletName.SPOT:
            self.publish(
                {
                    "e": "balanceUpdate",
                    "E": self._clock.now_ms(),
                    "a": ASSET,
                    "d": format_amount_fixed(change),
                    "T": at_ms,
                }
            )

    def release_due(self) -> None:
        """Deliver what a fault delayed, where its time has come."""
        self._deliver(self._faults.due())

    def _deliver(self, events: tuple[UserEvent, ...]) -> None:
        for event in events:
            for connection in tuple(self.connections):
                connection.deliver(event)
