"""Port: positions of the readers of a ledger."""

from typing import Protocol


class CursorStore(Protocol):
    """Named cursors; each call raises `StoreUnavailableError` if the store does not answer."""

    async def read(self, name: str) -> int:
        """The last sequence number that *name* has processed; 0 for a new cursor."""
        ...

    async def advance(self, name: str, seq: int) -> None:
        """Store *seq*, unless a later one is stored."""
        ...

    async def rewind(self, name: str) -> None:
        """Reset to 0, to rebuild a projection."""
        ...
