"""
Waiting for news, but not for ever.
"""

import anyio

from chimera_s1.domain.ports.clock import Clock


class Bell:
    """
    Tells all who wait that something has changed; who comes later waits for the next time.
    """

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """
        Wake all who wait now.
        """
        self._event.set()
        self._event = anyio.Event()

    async def heard(self, clock: Clock, limit_ms: float) -> None:
        """
        Wait for the next ring, at most *limit_ms*.
        """
        event = self._event

        async def give_up() -> None:
            await clock.sleep_ms(limit_ms)
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up)
            await event.wait()
            tasks.cancel_scope.cancel()
