"""Applies faults to the events of one venue's user stream, before any connection gets them."""

import heapq

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.faults.kinds import FaultKind
from chimera_s1.adapters.simulator.faults.registry import FaultRegistry
from chimera_s1.adapters.simulator.streams.frame_faults import apply_frame_fault
from chimera_s1.domain.identifiers import Venue


class UserEvent(Struct, frozen=True):
    """One event of the account.

    Attributes:
        kind: Its `e`, like `executionReport`.
        payload: JSON, without the envelope that a connection may add; a `malformed` fault leaves
            bytes that are not JSON.
        binary: It goes into a binary frame without an envelope.
        listen_key: Futures: connections with this key get it; empty means the valid key.
    """

    kind: str
    payload: bytes
    binary: bool = False
    listen_key: str = ""


class UserStreamFaults:
    """Faults act on the event, so every connection of the account loses or gets the same.

    Call `apply` with each event and `due` every few milliseconds; deliver what they return.
    """

    def __init__(self, venue: Venue, faults: FaultRegistry, clock: ScaledClock) -> None:
        self._venue = venue
        self._faults = faults
        self._clock = clock
        self._reordered: UserEvent | None = None
        self._delayed: list[tuple[int, int, UserEvent]] = []
        self._count = 0

    def apply(self, event: UserEvent) -> tuple[UserEvent, ...]:
        """What to deliver now in place of *event*: nothing for a gap, two for a duplicate.

        `reorder` withholds an event until after the next one, `delay` for its time while later
        events overtake it.
        """
        action = self._faults.take_user_event_fault(self._venue, event.kind)
        if action is None:
            return self._with_reordered(event)
        match action.kind:
            case FaultKind.REORDER if self._reordered is None:
                self._reordered = event
                return ()
            case FaultKind.REORDER:
                return self._with_reordered(event)
            case FaultKind.DELAY:
                self._delay(event, action.number)
                return ()
            case _:
                frames = apply_frame_fault(event.payload, action)
                return tuple(
                    replace(event, payload=each.payload, binary=each.binary) for each in frames
                )

    def due(self) -> tuple[UserEvent, ...]:
        """Delayed events whose time has come."""
        events, now_ms = [], self._clock.local_ms()
        while self._delayed and self._delayed[0][0] <= now_ms:
            events.append(heapq.heappop(self._delayed)[2])
        return tuple(events)

    def _with_reordered(self, event: UserEvent) -> tuple[UserEvent, ...]:
        if self._reordered is None:
            return (event,)
        withheld, self._reordered = self._reordered, None
        return event, withheld

    def _delay(self, event: UserEvent, delay_ms: int) -> None:
        self._count += 1
        due_ms = self._clock.local_ms() + delay_ms
        heapq.heappush(self._delayed, (due_ms, self._count, event))
