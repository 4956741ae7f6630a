"""Waiting for news, but not for ever."""

from collections.abc import Callable

import anyio

from chimera_s1.domain.ports.clock import Clock


class ChangeSignal:
    """Tells all who wait that something has changed.

    Who looks and then waits says how often it had rung before the look, so that nothing that
    happened in between is missed:

        rung = bell.rung
        await look()
        await bell.heard(clock, 500, after=rung)
    """

    def __init__(self) -> None:
        # Who waits sleeps in a scope that a ring ends; a task for each wait would cost far more.
        self._waiters: dict[anyio.CancelScope, Callable[[], bool]] = {}
        self.version = 0
        """How often it has rung."""

    def notify(self) -> None:
        """Wake all who wait now."""
        self.version += 1
        for sleeper, worth in self._waiters.items():
            if worth():
                sleeper.cancel()

    async def wait_after(
        self,
        clock: Clock,
        timeout_ms: float,
        *,
        version: int,
        debounce_ms: float = 0,
        relevant: Callable[[], bool] = lambda: True,
    ) -> None:
        """Return once it has rung more often than *version*, or *timeout_ms* have passed.

        Args:
            clock: Waiting.

            timeout_ms: Longest wait.

            version: How often it had rung before the look.

            debounce_ms: Return so much later, where many rings are worth one look.

            relevant: Whether what has changed is worth a look; asked at each ring.
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
