"""Port: leases that select the instance that does a job.

A lease avoids duplicate work. It does not ensure correctness: a paused holder may continue after
its lease expired. The ledger ensures correctness.
"""

from typing import Protocol


class LeaseStore(Protocol):
    """Leases that expire by the store's clock; calls may raise `StoreUnavailableError`."""

    async def acquire(self, name: str, owner: str, duration_ms: int) -> bool:
        """Take or renew the lease for *duration_ms* from now; False if another owner holds it."""
        ...

    async def release(self, name: str, owner: str) -> None:
        """Release the lease if *owner* still holds it."""
        ...
