"""
The faults that are armed, and how often each fired.

What a fault does is a word; after `apply-then-` it does it to a request that has taken effect:

    drop      the connection breaks without an answer (`drop-before-apply` says the same)
    delay     the request, or its answer, waits `ms`
    hold      the request, or its answer, waits until the fault is released
    down      the coordinator that got the request goes down
    503/1496  the answer is this error, any of the table in `errors`
    read-only a write is answered with 403/1004; reads pass and do not count
    unsynced  a write takes effect, and the answer says that the disk was not waited for
    stale     a read sees the store as it was when the fault was armed; writes pass
"""

import threading
from concurrent.futures import Future
from enum import Enum

from msgspec import Struct

from tests.arango_double.errors import ArangoError, listed_error
from tests.arango_double.requests_in import Request
from tests.arango_double.store import Store

PATIENCE_S = 20
_AFTER = "apply-then-"
_SAME = {"drop-before-apply": "drop"}


class Deed(Enum):
    """
    What a fault does.
    """

    DROP = "drop"
    DELAY = "delay"
    HOLD = "hold"
    DOWN = "down"
    REFUSE = "refuse"
    READ_ONLY = "read-only"
    UNSYNCED = "unsynced"
    STALE = "stale"


class Target(Struct, frozen=True):
    """
    Which requests a fault is for.

    Attributes:
        method: None for any.

        path: How the path begins, without the database's part.

        coordinator: Index of one; None for any.
    """

    method: str | None
    path: str
    coordinator: int | None

    def covers(self, request: Request) -> bool:
        """
        Whether *request* is meant.
        """
        return (
            self.method in {None, request.method}
            and request.path.startswith(self.path)
            and self.coordinator in {None, request.coordinator}
        )


class Fault:
    """
    One armed fault; it stays listed after its end, so that its count can be read.

    Attributes:
        do: As it was armed.

        applied: Whether the request takes effect before the deed.

        times: It fires so often and no more; None is without limit.

        delay_ms: Of a delay.

        fired: How often it did.

        done: How many of the requests it struck are done with, applied where they are ever to be.

        released: Done when what it holds may go on.

        past: What it shows to reads.
    """

    def __init__(
        self,
        number: int,
        do: str,
        target: Target,
        *,
        times: int | None,
        delay_ms: int,
        past: Store,
    ) -> None:
        self.id = number
        self.do = do
        self.target = target
        self.times = times
        self.delay_ms = delay_ms
        self.fired = 0
        self.done = 0
        self.released: Future[None] = Future()
        self.past = past
        self.applied = do.startswith(_AFTER)
        word = _SAME.get(do, do.removeprefix(_AFTER))
        self.error: ArangoError | None = listed_error(word) if "/" in word else None
        if word == "read-only":
            self.error = listed_error("403/1004")
        self.deed = Deed.REFUSE if "/" in word else Deed(word)
        self._changed = threading.Condition()

    def suits(self, request: Request) -> bool:
        """
        Whether it can fire for *request* now.
        """
        if self.times is not None and self.fired >= self.times:
            return False
        if self.deed in {Deed.READ_ONLY, Deed.UNSYNCED} and not request.writes:
            return False
        if self.deed is Deed.STALE and request.writes:
            return False
        return self.target.covers(request)

    def fire(self) -> None:
        """
        Count one that it strikes.
        """
        with self._changed:
            self.fired += 1
            self._changed.notify_all()

    def finish(self) -> None:
        """
        Count one that is done with.
        """
        with self._changed:
            self.done += 1
            self._changed.notify_all()

    def wait_fired(self, count: int = 1) -> None:
        """
        Block until it fired *count* times. Not on the event loop of a test: in a thread of it.

        Raises:
            TimeoutError: It did not within PATIENCE_S.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.fired >= count, PATIENCE_S):
                raise TimeoutError(f"{self.do} fired {self.fired} times and not {count}")

    def wait_done(self, count: int = 1) -> None:
        """
        Block, as `wait_fired` does, until *count* requests it struck are done with.

        Raises:
            TimeoutError: They are not within PATIENCE_S.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.done >= count, PATIENCE_S):
                raise TimeoutError(f"{self.do}: {self.done} requests are done and not {count}")

    def release(self) -> None:
        """
        Let go what it holds; it holds nothing any more.
        """
        if not self.released.done():
            self.released.set_result(None)


class FaultRegistry:
    """
    Arms, finds.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults: list[Fault] = []
        self._numbers = 0

    def arm(
        self,
        do: str,
        *,
        method: str | None = None,
        path: str = "/",
        coordinator: int | None = None,
        times: int | None = 1,
        delay_ms: int = 0,
    ) -> Fault:
        """
        Add a fault; where several suit a request, the first one armed fires.

        Args:
            do: As this module's text says.

            path: How the path begins, as `/_api/document/commits`.

            times: None is without limit.

        Raises:
            ValueError: There is no such deed or error.
        """
        self._numbers += 1
        target = Target(method, path, coordinator)
        past = self._store.view() if do == Deed.STALE.value else self._store
        fault = Fault(self._numbers, do, target, times=times, delay_ms=delay_ms, past=past)
        self._faults.append(fault)
        return fault

    def take(self, request: Request) -> Fault | None:
        """
        The fault for *request*, counted as fired.
        """
        fault = next((each for each in self._faults if each.suits(request)), None)
        if fault is not None:
            fault.fire()
        return fault

    def find(self, number: int) -> Fault:
        """
        The fault of this number.

        Raises:
            KeyError: There is none.
        """
        found = next((each for each in self._faults if each.id == number), None)
        if found is None:
            raise KeyError(f"no fault has the number {number}")
        return found

    def listed(self) -> list[Fault]:
        """
        All, in the order they were armed.
        """
        return list(self._faults)

    def clear(self) -> None:
        """
        Disarm and release all.
        """
        for fault in self._faults:
            fault.release()
        self._faults = []
