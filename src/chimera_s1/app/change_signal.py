"""Wait for a change, with a timeout."""

from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.clock import Clock


class ChangeSignal:
    """Wakes all tasks that wait for a change.

    Read the version before the state, so that a change in between is not missed:

        version = signal.version
        await read_state()
        await signal.wait_after(clock, 500, version=version)
    """

    def __init__(self) -> None:
        # A waiter sleeps in a cancel scope that `notify` cancels: far cheaper than a task a wait.
        self._waiters: dict[anyio.CancelScope, Callable[[], bool]] = {}
        self._next: anyio.Event | None = None
        self.version = 0
        """How often `notify` was called."""

    def notify(self) -> None:
        """Wake the waiters for whom the change is relevant."""
        self.version += 1
        for sleeper, is_relevant in self._waiters.items():
            if is_relevant():
                sleeper.cancel()
        if self._next is not None:
            self._next.set()
            self._next = None

    async def wait_after(
        self,
        clock: Clock,
        timeout_ms: float,
        *,
        version: int,
        debounce_ms: float = 0,
        relevant: Callable[[], bool] = lambda: True,
    ) -> None:
        """Return when a change after *version* was notified, or after *timeout_ms*.

        With *debounce_ms* it returns that much later, so that many changes cause one wake-up.
        *relevant* decides at each `notify` whether to wake up.
        """
        if self.version <= version or not relevant():
            with anyio.CancelScope() as sleeper:
                self._waiters[sleeper] = relevant
                try:
                    await clock.sleep_ms(timeout_ms)
                finally:
                    del self._waiters[sleeper]
        if debounce_ms:
            await clock.sleep_ms(debounce_ms)

    async def next_after(self, version: int) -> None:
        """Return when a change after *version* was notified; wait for it without a timeout."""
        if self.version > version:
            await checkpoint()  # a loop over changes that never end must let other tasks run
            return
        if self._next is None:
            self._next = anyio.Event()
        await self._next.wait()
