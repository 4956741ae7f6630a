"""Applies faults to open connections."""

from collections.abc import Sequence

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import (
    LINK_FAULTS,
    USER_CONNECTION_FAULTS,
    FaultKind,
)
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.targets import (
    ConnectionTarget,
    StreamTarget,
    Target,
    UserStreamTarget,
)
from chimera_s1.adapters.simulator.streams.connection import Connection
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub


class ConnectionFaults:
    """Connections do not ask for faults, as frames and requests do: `apply` has to be repeated."""

    def __init__(
        self, hubs: Sequence[StreamHub], clock: ScaledClock, faults: FaultRegistry
    ) -> None:
        self._hubs = tuple(hubs)
        self._clock = clock
        self._faults = faults

    def apply(self) -> None:
        for hub in self._hubs:
            self._apply_once(hub)
            self._impair_links(hub)

    def _apply_once(self, hub: StreamHub) -> None:
        for fault in self._faults.live_faults(USER_CONNECTION_FAULTS):
            targets = [
                each
                for each in hub.connections
                if _is_target(hub, each, fault.target) and each.can_apply(fault.action.kind)
            ]
            if targets:
                action = self._faults.fire(fault)
                for connection in targets:
                    self._apply_to(connection, action)

    def _apply_to(self, connection: Connection, action: FaultAction) -> None:
        match action.kind:
            case FaultKind.CLOSE | FaultKind.CLOSE_AFTER_DATA:
                connection.close(action.number, "")
            case FaultKind.SHUTDOWN:
                connection.announce_shutdown(self._clock.now_ms())
                self._clock.wake()
            case FaultKind.HALF_OPEN:
                connection.mute()
            case FaultKind.SILENT:
                connection.silence()
            case FaultKind.END_SUBSCRIPTION:
                connection.end_subscription(self._clock.now_ms())
            case _:
                connection.abort()

    def _impair_links(self, hub: StreamHub) -> None:
        faults = self._faults.live_faults(LINK_FAULTS)
        now_ms = self._clock.local_ms()
        for connection in hub.connections:
            matching = [fault for fault in faults if _is_target(hub, connection, fault.target)]
            actions = [self._faults.fire(fault) for fault in matching]
            delays = [a.number for a in actions if a.kind is FaultKind.SLOW]
            rates = [a.number for a in actions if a.kind is FaultKind.TRICKLE]
            late_pongs = [a.number for a in actions if a.kind is FaultKind.LATE_PONG]
            connection.link.impair(
                delay_ms=sum(delays),
                bytes_per_s=min(rates, default=0),
                pong_delay_ms=max(late_pongs, default=0),
            )
            connection.link.release_due(now_ms)


def _is_target(hub: StreamHub, connection: Connection, target: Target) -> bool:
    match target:
        case StreamTarget(venue=hub.venue, stream=stream):
            return not stream or stream in connection.subscriptions
        case UserStreamTarget(venue=hub.venue, event=""):
            return connection.is_user_stream
        case ConnectionTarget(venue=hub.venue, number=number):
            return connection.number == number
        case _:
            return False
