"""Port: which of several instances does a job at the moment.

A lease saves work, it does not make anything right: a paused holder wakes up and goes on. What is
right whoever acts is settled by the ledger.
"""

from typing import Protocol


class LeaseStore(Protocol):
    """Named leases that expire by the store's own clock. Each call raises `StoreUnavailableError`
    where the store does not answer.
    """

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        """Take, or keep, the lease *name* for *duration_ms* from now; False while
        another has it.
        """
        ...

    async def release(self, name: str, owner: str) -> None:
        """Give it up, if it is still *owner*'s."""
        ...
