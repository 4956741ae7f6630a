"""
The faults that are armed, and how often each fired.
"""

from collections.abc import Callable, Collection

from msgspec import Struct

from chimera_s1.adapters.simulator.fault_actions import (
    CONNECTION_DEEDS,
    FRAME_DEEDS,
    Action,
    Deed,
    RestTarget,
    StreamTarget,
    Target,
    parse_action,
    parse_target,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

FAULTS_MAX = 200


class Fault(Struct):
    """
    One armed fault; it stays listed after its end, so that its count can be read.

    Attributes:
        times: It fires so often and no more; None is without limit.

        until_ms: Monotonic ms at which it ends; None is never.
    """

    id: int
    on: str
    do: str
    target: Target
    action: Action
    times: int | None
    until_ms: float | None
    fired: int = 0

    def live(self, now_ms: float) -> bool:
        """
        Whether it can still fire. A stall is one event however many frames it withholds.
        """
        if self.until_ms is not None and now_ms >= self.until_ms:
            return False
        lasting = self.action.deed is Deed.STALL
        return lasting or self.times is None or self.fired < self.times


class FaultRegistry:
    """
    Arms, finds, counts.
    """

    def __init__(self, monotonic_ms: Callable[[], float]) -> None:
        self._monotonic_ms = monotonic_ms
        self._faults: list[Fault] = []
        self._next_id = 1

    def arm(self, on: str, do: str, times: int | None = None, for_ms: int = 0) -> Fault:
        """
        Add a fault.

        Args:
            on: Target, as `parse_target` reads it.

            do: Action, as `parse_action` reads it.

            times: How often it fires; None is once, or without limit while *for_ms* lasts.

            for_ms: How long it may fire, from now; 0 is without limit.

        Raises:
            InvalidValueError: One of them makes no sense, or FAULTS_MAX are armed.
        """
        if len(self._faults) >= FAULTS_MAX:
            raise InvalidValueError(f"{FAULTS_MAX} faults are armed; DELETE /sim/faults first")
        target = parse_target(on)
        action = parse_action(do, target)
        limit = times if times is not None or for_ms else 1
        until = self._monotonic_ms() + for_ms if for_ms else None
        fault = Fault(self._next_id, on, do, target, action, limit, until)
        self._next_id += 1
        self._faults.append(fault)
        return fault

    @property
    def armed(self) -> bool:
        """
        Whether there is any fault, live or not.
        """
        return bool(self._faults)

    def clear(self) -> int:
        """
        Disarm and forget all; how many there were.
        """
        count = len(self._faults)
        self._faults.clear()
        return count

    def listed(self) -> list[tuple[Fault, bool]]:
        """
        All faults in the order they were armed, each with whether it is live.
        """
        now = self._monotonic_ms()
        return [(fault, fault.live(now)) for fault in self._faults]

    def take_rest(self, method: str, path: str) -> Action | None:
        """
        The action for one request, counted as fired.
        """
        wanted = RestTarget(method, path)
        return next((self._fire(f) for f in self._live() if f.target == wanted), None)

    def frames_touched(self, venue: Venue) -> bool:
        """
        Whether any frame of *venue* may be touched now; asked once per batch of frames.
        """
        return any(
            isinstance(f.target, StreamTarget) and f.target.venue is venue
            for f in self._live()
            if f.action.deed in FRAME_DEEDS
        )

    def take_frame(self, venue: Venue, stream: str) -> Action | None:
        """
        The action for one frame of *stream*, counted as fired.
        """
        for fault in self._live():
            if (
                fault.action.deed in FRAME_DEEDS
                and isinstance(fault.target, StreamTarget)
                and fault.target.covers(venue, stream)
            ):
                return self._fire(fault)
        return None

    def take_connection(self, venue: Venue, streams: Collection[str]) -> tuple[str, Action] | None:
        """
        The action for the connections of *venue*, counted as fired, and the stream they must carry
        (empty: all of them). A fault on a stream that is not among *streams* goes on waiting.
        """
        for fault in self._live():
            if (
                fault.action.deed in CONNECTION_DEEDS
                and isinstance(fault.target, StreamTarget)
                and fault.target.venue is venue
                and (not fault.target.stream or fault.target.stream in streams)
            ):
                return fault.target.stream, self._fire(fault)
        return None

    def _live(self) -> list[Fault]:
        if not self._faults:
            return []
        now = self._monotonic_ms()
        return [fault for fault in self._faults if fault.live(now)]

    def _fire(self, fault: Fault) -> Action:
        if fault.action.deed is not Deed.STALL or fault.fired == 0:
            fault.fired += 1
        return fault.action
