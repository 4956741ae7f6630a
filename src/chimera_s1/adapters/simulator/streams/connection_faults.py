"""Applies faults to open connections."""

from collections.abc import Sequence

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import FaultAction
from chimera_s1.adapters.simulator.faults.kinds import CONNECTION_FAULTS, LINK_FAULTS, FaultKind
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.targets import ConnectionTarget, StreamTarget, Target
from chimera_s1.adapters.simulator.streams.session import Session
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
        for fault in self._faults.live_faults(CONNECTION_FAULTS):
            targets = [
                session
                for session in hub.sessions
                if _is_target(hub, session, fault.target) and session.can_apply(fault.action.kind)
            ]
            if targets:
                action = self._faults.fire(fault)
                for session in targets:
                    self._apply_to(session, action)

    def _apply_to(self, session: Session, action: FaultAction) -> None:
        match action.kind:
            case FaultKind.CLOSE | FaultKind.CLOSE_AFTER_DATA:
                session.close(action.number, "")
            case FaultKind.SHUTDOWN:
                session.announce_shutdown(self._clock.now_ms())
                self._clock.wake()
            case FaultKind.HALF_OPEN:
                session.mute()
            case _:
                session.abort()

    def _impair_links(self, hub: StreamHub) -> None:
        faults = self._faults.live_faults(LINK_FAULTS)
        now_ms = self._clock.local_ms()
        for session in tuple(hub.sessions):
            matching = [fault for fault in faults if _is_target(hub, session, fault.target)]
            actions = [self._faults.fire(fault) for fault in matching]
            delays = [a.number for a in actions if a.kind is FaultKind.SLOW]
            rates = [a.number for a in actions if a.kind is FaultKind.TRICKLE]
            late_pongs = [a.number for a in actions if a.kind is FaultKind.LATE_PONG]
            session.link.impair(
                delay_ms=sum(delays),
                bytes_per_s=min(rates, default=0),
                pong_delay_ms=max(late_pongs, default=0),
            )
            session.link.release_due(now_ms)


def _is_target(hub: StreamHub, session: Session, target: Target) -> bool:
    match target:
        case StreamTarget(venue=hub.venue, stream=stream):
            return not stream or stream in session.subscriptions
        case ConnectionTarget(venue=hub.venue, number=number):
            return session.number == number
        case _:
            return False
