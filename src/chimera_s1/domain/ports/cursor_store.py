"""Port: how far readers of a ledger have come."""

from typing import Protocol


class CursorStore(Protocol):
    """Named places in a ledger; they never go back by `advance`. Each call raises
    `StoreUnavailableError` where the store does not answer.
    """

    async def read(self, name: str) -> int:
        """The last place that the reader *name* is done with; 0 for a new one."""
        ...

    async def advance(self, name: str, seq: int) -> None:
        """Remember *seq*, unless a later one is there."""
        ...

    async def rewind(self, name: str) -> None:
        """Begin anew: a projection is rebuilt."""
        ...
