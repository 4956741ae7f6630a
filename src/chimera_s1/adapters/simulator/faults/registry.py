"""The armed faults, and how often each fired."""

from collections.abc import Callable, Collection

from msgspec import Struct

from chimera_s1.adapters.simulator.faults.actions import FaultAction, parse_action
from chimera_s1.adapters.simulator.faults.kinds import (
    FRAME_FAULTS,
    FUNDING_FAULTS,
    HANDSHAKE_FAULTS,
    LASTING_FAULTS,
    LISTING_FAULTS,
    REQUEST_FAULTS,
    USER_EVENT_FAULTS,
    FaultKind,
)
from chimera_s1.adapters.simulator.faults.targets import (
    RequestTarget,
    StreamTarget,
    Target,
    UserStreamTarget,
    VenueRequestsTarget,
    parse_target,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue

FAULTS_MAX = 200


class Fault(Struct):
    """One armed fault; it stays listed after its end, so that its count can be read.

    Attributes:
        times: How often it fires at most; None means no limit.
        until_ms: Monotonic ms at which it ends; None means never.
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

    @property
    def is_lasting(self) -> bool:
        return self.action.kind in LASTING_FAULTS

    def is_live(self, now_ms: float) -> bool:
        """Whether it can still fire at *now_ms*, monotonic."""
        if self.until_ms is not None and now_ms >= self.until_ms:
            return False
        return self.is_lasting or self.times is None or self.fired < self.times

    def count(self, now_ms: int) -> None:
        """Count one firing at *now_ms*, local epoch ms; a lasting fault counts once."""
        if self.is_lasting and self.fired:
            return
        self.fired += 1
        self.last_fired_ms = now_ms
        if self.first_fired_ms is None:
            self.first_fired_ms = now_ms


class FaultRegistry:
    """Arms faults, finds the one that applies, and counts it."""

    def __init__(self, monotonic_ms: Callable[[], float], wall_ms: Callable[[], int]) -> None:
        self._monotonic_ms = monotonic_ms
        self._wall_ms = wall_ms
        self._faults: list[Fault] = []
        self._next_id = 1

    def arm(self, on: str, do: str, times: int | None = None, for_ms: int = 0) -> Fault:
        """Add a fault. When FAULTS_MAX are listed, the oldest ended one is removed.

        Args:
            on: Target, in the form of `parse_target`.
            do: Action, in the form of `parse_action`.
            times: How often it fires; None means once, or without limit during *for_ms*.
            for_ms: How long it may fire, from now; 0 means no limit.

        Raises:
            InvalidValueError: *on* or *do* is wrong, or FAULTS_MAX faults are live.
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
        """Remove the fault *fault_id*, or all of them; how many were removed."""
        kept = [each for each in self._faults if fault_id not in {None, each.id}]
        count = len(self._faults) - len(kept)
        self._faults = kept
        return count

    def list_faults(self) -> list[tuple[Fault, bool]]:
        """All faults in the order they were armed, each with whether it is live."""
        now = self._monotonic_ms()
        return [(fault, fault.is_live(now)) for fault in self._faults]

    def live_faults(self, kinds: Collection[FaultKind]) -> list[Fault]:
        """The live faults of *kinds*, in the order they were armed."""
        if not self._faults:
            return []
        now = self._monotonic_ms()
        return [each for each in self._faults if each.action.kind in kinds and each.is_live(now)]

    def fire(self, fault: Fault) -> FaultAction:
        """Count *fault* as fired and return its action."""
        fault.count(self._wall_ms())
        return fault.action

    def take_request_fault(self, venue: Venue | None, method: str, path: str) -> FaultAction | None:
        """The action for one request, counted as fired; *venue* is None for one to S10."""
        targets: tuple[Target, ...] = (RequestTarget(method, path),)
        if venue is not None:
            targets = (*targets, VenueRequestsTarget(venue))
        live = self.live_faults(REQUEST_FAULTS | LISTING_FAULTS | FUNDING_FAULTS)
        matching = (f for f in live if f.target in targets)
        return next((self.fire(fault) for fault in matching), None)

    def take_handshake_fault(self, target: StreamTarget | UserStreamTarget) -> FaultAction | None:
        """The action for one new connection to *target*, counted as fired."""
        matching = (f for f in self.live_faults(HANDSHAKE_FAULTS) if f.target == target)
        return next((self.fire(fault) for fault in matching), None)

    def has_frame_faults(self, venue: Venue) -> bool:
        """Whether frames of *venue* need checking; asked once per batch of frames."""
        return any(
            isinstance(fault.target, StreamTarget) and fault.target.venue is venue
            for fault in self.live_faults(FRAME_FAULTS)
        )

    def take_frame_fault(
        self, venue: Venue, stream: str, is_applicable: Callable[[FaultAction], bool]
    ) -> FaultAction | None:
        """The action for one frame of *stream*, counted as fired.

        A fault that is not applicable to this frame waits for another one.
        """
        for fault in self.live_faults(FRAME_FAULTS):
            covered = isinstance(fault.target, StreamTarget) and fault.target.covers(venue, stream)
            if covered and is_applicable(fault.action):
                return self.fire(fault)
        return None

    def take_user_event_fault(self, venue: Venue, event: str) -> FaultAction | None:
        """The action for one *event* of the user stream of *venue*, counted as fired."""
        for fault in self.live_faults(USER_EVENT_FAULTS):
            if isinstance(fault.target, UserStreamTarget) and fault.target.covers(venue, event):
                return self.fire(fault)
        return None
