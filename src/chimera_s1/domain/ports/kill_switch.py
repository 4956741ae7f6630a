"""Port: the kill switch."""

from typing import Protocol


class KillSwitch(Protocol):
    """The key `kill_switch` in the shared Redis."""

    async def read(self) -> bool:
        """Whether it is on.

        Raises:
            PublisherUnavailableError: Not readable; the caller keeps the last known value.
        """
        ...
