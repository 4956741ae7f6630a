"""Waiting for news, but not for ever."""

from collections.abc import Callable

import anyio

from chimera_s1.domain.ports.clock import Clock


class Bell:
    """Tells all who wait that something has changed.

    Who looks and then waits says how often it had rung before the look, so that nothing that
    happened in between is missed:

        rung = bell.rung
        await look()
        await bell.heard(clock, 500, after=rung)
    """

    def __init__(self) -> None:
        # Who waits sleeps in a scope that a ring ends; a task for each wait would cost far more.
        self._sleepers: dict[anyio.CancelScope, Callable[[], bool]] = {}
        self.rung = 0
        """How often it has rung."""

    def ring(self) -> None:
        """Wake all who wait now."""
        self.rung += 1
        for sleeper, worth in self._sleepers.items():
            if worth():
                sleeper.cancel()

    async def heard(
        self,
        clock: Clock,
        limit_ms: float,
        *,
        after: int,
        gather_ms: float = 0,
        worth: Callable[[], bool] = lambda: True,
    ) -> None:
        """Return once it has rung more often than *after*, or *limit_ms* have passed.

        Args:
            clock: Waiting.

            limit_ms: Longest wait.

            after: How often it had rung before the look.

            gather_ms: Return so much later, where many rings are worth one look.

            worth: Whether what has changed is worth a look; asked at each ring.
        """
        if self.rung <= after or not worth():
            with anyio.CancelScope() as sleeper:
                self._sleepers[sleeper] = worth
                try:
                    await clock.sleep_ms(limit_ms)
                finally:
                    del self._sleepers[sleeper]
        if gather_ms:
            await clock.sleep_ms(gather_ms)
