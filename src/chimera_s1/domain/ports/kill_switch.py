"""Port: the switch that stops everything that spends."""

from typing import Protocol


class KillSwitch(Protocol):
    """`kill_switch` in the store that all services share."""

    async def read(self) -> bool:
        """Whether it is on.

        Raises:
            PublisherUnavailableError: It cannot be read; the last known position stays in force.
        """
        ...
