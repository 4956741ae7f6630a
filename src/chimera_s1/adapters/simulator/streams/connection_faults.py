"""
Faults that happen to connections, to the exchange's clock and to the pace of the market.

They are not met on the way of a frame or a request, so somebody has to look: every 20 ms.
"""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.actions import (
    LINE_DEEDS,
    STRIKE_DEEDS,
    Action,
    Deed,
)
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.faults.targets import ConnectionTarget, StreamTarget, Target
from chimera_s1.adapters.simulator.streams.book_updater import BookPump
from chimera_s1.adapters.simulator.streams.session import Session
from chimera_s1.adapters.simulator.streams.stream_hub import StreamHub

_LOOK_S = 0.02


class Strikes:
    """
    Lets armed faults happen, and ends those that last when their time is over.
    """

    def __init__(
        self, hubs: Sequence[StreamHub], clock: ScaledClock, pump: BookPump, faults: FaultRegistry
    ) -> None:
        self._hubs = tuple(hubs)
        self._clock = clock
        self._pump = pump
        self._faults = faults

    async def run(self) -> None:
        """
        Until cancelled.
        """
        while True:
            self._disturb_world()
            for hub in self._hubs:
                self._strike(hub)
                self._tend_lines(hub)
            await anyio.sleep(_LOOK_S)

    def _disturb_world(self) -> None:
        offset_ms = self._lasting(Deed.OFFSET)
        drift = self._lasting(Deed.DRIFT)
        self._clock.disturb(offset_ms=sum(offset_ms), drift_ms_per_s=sum(drift))
        self._pump.storm = max(self._lasting(Deed.STORM), default=None)

    def _lasting(self, deed: Deed) -> list[int]:
        return [self._faults.fire(fault).number for fault in self._faults.live({deed})]

    def _strike(self, hub: StreamHub) -> None:
        for fault in self._faults.live(STRIKE_DEEDS):
            hit = [
                session
                for session in hub.sessions
                if _is_meant(hub, session, fault.target) and session.strikable(fault.action.deed)
            ]
            if hit:
                action = self._faults.fire(fault)
                for session in hit:
                    self._hit(session, action)

    def _hit(self, session: Session, action: Action) -> None:
        match action.deed:
            case Deed.CLOSE:
                session.close(action.number, "")
            case Deed.SHUTDOWN:
                session.announce_shutdown(self._clock.now_ms())
                self._clock.wake()
            case Deed.HALF_OPEN:
                session.mute()
            case _:
                session.cut()

    def _tend_lines(self, hub: StreamHub) -> None:
        faults = self._faults.live(LINE_DEEDS)
        now_ms = self._clock.local_ms()
        for session in tuple(hub.sessions):
            mine = [fault for fault in faults if _is_meant(hub, session, fault.target)]
            actions = [self._faults.fire(fault) for fault in mine]
            session.line.impair(
                delay_ms=sum(a.number for a in actions if a.deed is Deed.SLOW),
                bytes_per_s=min((a.number for a in actions if a.deed is Deed.TRICKLE), default=0),
            )
            session.line.advance(now_ms)


def _is_meant(hub: StreamHub, session: Session, target: Target) -> bool:
    match target:
        case StreamTarget(venue=hub.venue, stream=stream):
            return not stream or stream in session.subscriptions
        case ConnectionTarget(venue=hub.venue, number=number):
            return session.number == number
        case _:
            return False
