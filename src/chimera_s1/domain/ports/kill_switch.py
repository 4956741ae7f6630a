"""Port: the kill switch."""

from typing import Protocol


class KillSwitch(Protocol):
    """The key `kill_switch` in the shared Redis."""

    async def read(self) -> bool:
        """Whether it is on; after `PublisherUnavailableError` the last known value applies."""
        ...
