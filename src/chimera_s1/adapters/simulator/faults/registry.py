"""The faults that are armed, and how often each fired."""

from collections.abc import Callable, Collection

from msgspec import Struct

from chimera_s1.adapters.simulator.faults.actions import (
    FRAME_FAULTS,
    LASTING_FAULTS,
    REQUEST_FAULTS,
    FaultAction,
    FaultKind,
    parse_action,
)
from chimera_s1.adapters.simulator.faults.targets import (
    RestTarget,
    StreamTarget,
    Target,
    VenueRestTarget,
    parse_target,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

FAULTS_MAX = 200


class Fault(Struct):
    """One armed fault; it stays listed after its end, so that its count can be read.

    Attributes:
        times: It fires so often and no more; None is without limit.
        until_ms: Monotonic ms at which it ends; None is never.
        first_fired_ms, last_fired_ms: Local epoch ms; None before it fired.
    """

    id: int
    on: str
    do: str
    target: Target
    action: FaultAction
    times: int | None
    until_ms: float | None
    fired: int = 0
    first_fired_ms: int | None = None
    last_fired_ms: int | None = None

    def live(self, now_ms: float) -> bool:
        """Whether it can still fire. What lasts is one event however much it touches."""
        if self.until_ms is not None and now_ms >= self.until_ms:
            return False
        lasting = self.action.kind in LASTING_FAULTS
        return lasting or self.times is None or self.fired < self.times


class FaultRegistry:
    """Arms, finds, counts."""

    def __init__(self, monotonic_ms: Callable[[], float], wall_ms: Callable[[], int]) -> None:
        self._monotonic_ms = monotonic_ms
        self._wall_ms = wall_ms
        self._faults: list[Fault] = []
        self._next_id = 1

    def arm(self, on: str, do: str, times: int | None = None, for_ms: int = 0) -> Fault:
        """Add a fault; where FAULTS_MAX are listed, the oldest that has ended is forgotten.

        Args:
            on: Target, as `parse_target` reads it.
            do: FaultAction, as `parse_action` reads it.
            times: How often it fires; None is once, or without limit while *for_ms* lasts.
            for_ms: How long it may fire, from now; 0 is without limit.

        Raises:
            InvalidValueError: One of them makes no sense, or FAULTS_MAX are live.
        """
        target = parse_target(on)
        action = parse_action(do, target)
        self._make_room()
        limit = times if times is not None or for_ms else 1
        until = self._monotonic_ms() + for_ms if for_ms else None
        fault = Fault(self._next_id, on, do, target, action, limit, until)
        self._next_id += 1
        self._faults.append(fault)
        return fault

    def _make_room(self) -> None:
        if len(self._faults) < FAULTS_MAX:
            return
        ended = next((fault for fault, live in self.list_faults() if not live), None)
        if ended is None:
            raise InvalidValueError(f"{FAULTS_MAX} faults are armed; DELETE /sim/faults first")
        self._faults.remove(ended)

    def clear(self, fault_id: int | None = None) -> int:
        """Disarm and forget the fault *fault_id*, or all; how many there were."""
        kept = [each for each in self._faults if fault_id not in {None, each.id}]
        count = len(self._faults) - len(kept)
        self._faults = kept
        return count

    def list_faults(self) -> list[tuple[Fault, bool]]:
        """All faults in the order they were armed, each with whether it is live."""
        now = self._monotonic_ms()
        return [(fault, fault.live(now)) for fault in self._faults]

    def live(self, kinds: Collection[FaultKind]) -> list[Fault]:
        """The faults that do one of *kinds* and can fire now, in the order they were armed."""
        if not self._faults:
            return []
        now = self._monotonic_ms()
        return [each for each in self._faults if each.action.kind in kinds and each.live(now)]

    def fire(self, fault: Fault) -> FaultAction:
        """Count it, and say what it does."""
        if fault.action.kind not in LASTING_FAULTS or fault.fired == 0:
            fault.fired += 1
            fault.last_fired_ms = self._wall_ms()
            if fault.first_fired_ms is None:
                fault.first_fired_ms = fault.last_fired_ms
        return fault.action

    def take_request_fault(self, venue: Venue, method: str, path: str) -> FaultAction | None:
        """The action for one request, counted as fired."""
        meant: tuple[Target, ...] = (RestTarget(method, path), VenueRestTarget(venue))
        return next((self.fire(f) for f in self.live(REQUEST_FAULTS) if f.target in meant), None)

    def take_handshake_fault(self, venue: Venue) -> FaultAction | None:
        """The action for one new connection, counted as fired."""
        refusing = self.live({FaultKind.REFUSE})
        return next((self.fire(f) for f in refusing if f.target == StreamTarget(venue)), None)

    def has_frame_faults(self, venue: Venue) -> bool:
        """Whether any frame of *venue* may be touched now; asked once per batch of frames."""
        return any(
            isinstance(f.target, StreamTarget) and f.target.venue is venue
            for f in self.live(FRAME_FAULTS)
        )

    def take_frame_fault(
        self, venue: Venue, stream: str, is_applicable: Callable[[FaultAction], bool]
    ) -> FaultAction | None:
        """The action for one frame of *stream*, counted as fired; one that does not suit the frame
        goes on waiting for another.
        """
        for fault in self.live(FRAME_FAULTS):
            covered = isinstance(fault.target, StreamTarget) and fault.target.covers(venue, stream)
            if covered and is_applicable(fault.action):
                return self.fire(fault)
        return None
