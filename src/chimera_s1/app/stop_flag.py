"""Whether the service stops."""

import anyio


class StopFlag:
    """Set on SIGTERM; read before anything is accepted or sent that spends."""

    def __init__(self) -> None:
        self._stopped = anyio.Event()

    def set(self) -> None:
        self._stopped.set()

    def is_set(self) -> bool:
        return self._stopped.is_set()

    async def wait(self) -> None:
        """Until it is set."""
        await self._stopped.wait()
