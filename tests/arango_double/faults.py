"""The armed faults, and how often each fired.

A fault is armed by one of these names; `apply-then-<name>` lets the request take effect first:

    drop      the connection breaks without a response
    hold      the request, or its response, waits until the fault is released
    hold-then-410/1500  likewise, and the response is this error; the request has no effect
    down      the coordinator that received the request goes down
    503/1496  the response is this error, any of the table in `errors`
    read-only a write is answered with 403/1004; reads pass and do not count
    unsynced  a write takes effect, and the response says that the disk was not waited for
    stale     a read sees the store as it was when the fault was armed; writes pass
"""

import threading
from concurrent.futures import Future
from enum import Enum

from msgspec import Struct

from tests.arango_double.errors import ArangoError, error_named
from tests.arango_double.http_messages import Request
from tests.arango_double.store import Store
from tests.time_limits import TIMEOUT_S

_APPLIED = "apply-then-"
_HELD = "hold-then-"


class FaultKind(Enum):
    DROP = "drop"
    HOLD = "hold"
    DOWN = "down"
    REFUSE = "refuse"
    READ_ONLY = "read-only"
    UNSYNCED = "unsynced"
    STALE = "stale"


class Target(Struct, frozen=True):
    """The requests that a fault is for.

    Attributes:
        method: None for any.
        path: How the path begins, without `/_db/<database>`.
        coordinator: Index; None for any.
    """

    method: str | None
    path: str
    coordinator: int | None

    def matches(self, request: Request) -> bool:
        return (
            self.method in {None, request.method}
            and request.path.startswith(self.path)
            and self.coordinator in {None, request.coordinator}
        )


class Fault:
    """One armed fault.

    Attributes:
        applied: Whether the request takes effect before the fault.
        fired: How many requests it was applied to.
        released: Set when held requests may continue.
        past: What reads see while it is stale.
    """

    def __init__(
        self, name: str, target: Target, times: int | None, every: int, past: Store
    ) -> None:
        """Args:
            times: It fires no more often than this; None is without limit.
            every: It fires on each *every*-th of the requests that it is for.

        Raises:
            ValueError: No fault or error has this name.
        """
        self.name = name
        self.fired = 0
        self.released: Future[None] = Future()
        self.past = past
        self.applied = name.startswith(_APPLIED)
        self.kind, self.error = _kind_and_error(name.removeprefix(_APPLIED))
        self._target = target
        self._times = times
        self._every = every
        self._matched = 0
        self._finished = 0
        self._changed = threading.Condition()

    def applies_to(self, request: Request) -> bool:
        """Whether it fires for *request*, which is counted."""
        if self._times is not None and self.fired >= self._times:
            return False
        if self.kind in {FaultKind.READ_ONLY, FaultKind.UNSYNCED} and not request.writes:
            return False
        if self.kind is FaultKind.STALE and request.writes:
            return False
        if not self._target.matches(request):
            return False
        self._matched += 1
        return self._matched % self._every == 0

    def fire(self) -> None:
        with self._changed:
            self.fired += 1
            self._changed.notify_all()

    def finish(self) -> None:
        """Count a request that can have no further effect."""
        with self._changed:
            self._finished += 1
            self._changed.notify_all()

    def wait_fired(self, count: int = 1) -> None:
        """Block until it fired *count* times; an async test calls this in a thread.

        Raises:
            TimeoutError: It did not within TIMEOUT_S.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.fired >= count, TIMEOUT_S):
                raise TimeoutError(f"{self.name} fired {self.fired} times and not {count}")

    def wait_finished(self, count: int = 1) -> None:
        """Block until *count* of its requests can have no further effect.

        Raises:
            TimeoutError: They are not within TIMEOUT_S.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._finished >= count, TIMEOUT_S):
                raise TimeoutError(
                    f"{self.name}: {self._finished} requests finished and not {count}"
                )

    def release(self) -> None:
        """Release held requests; later ones are not held."""
        if not self.released.done():
            self.released.set_result(None)


def _kind_and_error(name: str) -> tuple[FaultKind, ArangoError | None]:
    if name.startswith(_HELD):
        return FaultKind.HOLD, error_named(name.removeprefix(_HELD))
    if "/" in name:
        return FaultKind.REFUSE, error_named(name)
    kind = FaultKind(name)
    return kind, error_named("403/1004") if kind is FaultKind.READ_ONLY else None


class FaultRegistry:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults: list[Fault] = []

    def arm(
        self,
        name: str,
        *,
        method: str | None = None,
        path: str = "/",
        coordinator: int | None = None,
        times: int | None = 1,
        every: int = 1,
    ) -> Fault:
        """Add a fault; if several apply to a request, the first one armed fires.

        Args:
            name: One of those in this module's text.
            path: How the path begins, as `/_api/document/commits`.
            times: None is without limit.
            every: It fires on each *every*-th request with this method and path.

        Raises:
            ValueError: No fault or error has this name.
        """
        past = self._store.snapshot() if name == FaultKind.STALE.value else self._store
        fault = Fault(name, Target(method, path, coordinator), times, every, past)
        self._faults.append(fault)
        return fault

    def fire(self, request: Request) -> Fault | None:
        """The fault for *request*, counted as fired."""
        fault = next((each for each in self._faults if each.applies_to(request)), None)
        if fault is not None:
            fault.fire()
        return fault

    def clear(self) -> None:
        """Disarm and release all."""
        for fault in self._faults:
            fault.release()
        self._faults = []
