"""Port: the lease that says which instance publishes.

The lease saves work. It does not ensure correctness: a paused holder may continue after its lease
expired, and a failover of the store may lose a lease. Entry ids ensure correctness.
"""

from typing import Protocol

from msgspec import Struct


class LeaseHolder(Struct, frozen=True):
    """The owner of the lease, and how long from now it lasts unless it is renewed.

    Attributes:
        remaining_ms: Negative where it never expires; this service writes no such lease.
        standby: Another instance that asked for the lease a moment ago; empty if none did.
    """

    owner: str
    remaining_ms: int
    standby: str = ""


class PublisherLease(Protocol):
    """One lease; it expires by the store's clock. Calls may raise `PublisherUnavailableError` and
    `ConfigurationError`; the lease is then as before, or taken.
    """

    @property
    def name(self) -> str: ...

    async def acquire(self, owner: str, duration_ms: int) -> LeaseHolder:
        """Take or renew the lease for *duration_ms* from now, unless another owner holds it."""
        ...

    async def release(self, owner: str) -> None:
        """Release the lease if *owner* still holds it."""
        ...
