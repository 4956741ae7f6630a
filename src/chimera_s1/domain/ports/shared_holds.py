"""Port: holds of a venue that every instance behind our address has to obey."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.venue_hold import HoldReason, HoldScope


class SharedHold(Struct, frozen=True, kw_only=True):
    """A hold as other instances see it.

    Attributes:
        scope: `DIALS` or `REQUESTS`; a hold of both is two of these.
        left_ms: Until it ends.
        instance: Which heard it.
    """

    scope: HoldScope
    left_ms: int
    reason: HoldReason
    cause: str
    instance: str


class SharedHolds(Protocol):
    async def share(self, venue: Venue, own: Sequence[SharedHold]) -> tuple[SharedHold, ...]:
        """Show *own* holds to all instances; returns the longest ones in force, at most one of each
        scope, own ones included. None is ever shortened; each is gone when its time is over.

        Raises:
            PublisherUnavailableError: The store is unavailable.
            ConfigurationError: It refuses our credentials.
        """
        ...
