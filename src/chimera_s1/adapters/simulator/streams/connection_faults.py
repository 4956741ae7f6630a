"""Faults that happen to connections, to the exchange's clock and to the pace of the market.

They are not met on the way of a frame or a request, so somebody has to look: every 20 ms.
"""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import (
    CONNECTION_FAULTS,
    LINK_FAULTS,
    FaultAction,
    FaultKind,
)
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.targets import ConnectionTarget, StreamTarget, Target
from chimera_s1.adapters.simulator.streams.book_updater import BookUpdater
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub

_LOOK_S = 0.02


class ConnectionFaults:
    """Lets armed faults happen, and ends those that last when their time is over."""

    def __init__(
        self,
        hubs: Sequence[StreamHub],
        clock: ScaledClock,
        updater: BookUpdater,
        faults: FaultRegistry,
    ) -> None:
        self._hubs = tuple(hubs)
        self._clock = clock
        self._updater = updater
        self._faults = faults

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._apply_to_clock_and_market()
            for hub in self._hubs:
                self._apply_to_connections(hub)
                self._impair_links(hub)
            await anyio.sleep(_LOOK_S)

    def _apply_to_clock_and_market(self) -> None:
        offset_ms = self._active_numbers(FaultKind.OFFSET)
        drift = self._active_numbers(FaultKind.DRIFT)
        self._clock.set_error(offset_ms=sum(offset_ms), drift_ms_per_s=sum(drift))
        self._updater.storm_rate = max(self._active_numbers(FaultKind.STORM), default=None)

    def _active_numbers(self, kind: FaultKind) -> list[int]:
        return [self._faults.fire(fault).number for fault in self._faults.live({kind})]

    def _apply_to_connections(self, hub: StreamHub) -> None:
        for fault in self._faults.live(CONNECTION_FAULTS):
            hit = [
                session
                for session in hub.sessions
                if _is_target(hub, session, fault.target) and session.can_apply(fault.action.kind)
            ]
            if hit:
                action = self._faults.fire(fault)
                for session in hit:
                    self._apply(session, action)

    def _apply(self, session: Session, action: FaultAction) -> None:
        match action.kind:
            case FaultKind.CLOSE:
                session.close(action.number, "")
            case FaultKind.SHUTDOWN:
                session.announce_shutdown(self._clock.now_ms())
                self._clock.wake()
            case FaultKind.HALF_OPEN:
                session.mute()
            case _:
                session.abort()

    def _impair_links(self, hub: StreamHub) -> None:
        faults = self._faults.live(LINK_FAULTS)
        now_ms = self._clock.local_ms()
        for session in tuple(hub.sessions):
            mine = [fault for fault in faults if _is_target(hub, session, fault.target)]
            actions = [self._faults.fire(fault) for fault in mine]
            session.link.impair(
                delay_ms=sum(a.number for a in actions if a.kind is FaultKind.SLOW),
                bytes_per_s=min(
                    (a.number for a in actions if a.kind is FaultKind.TRICKLE), default=0
                ),
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
