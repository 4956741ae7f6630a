"""The stores a ledger needs, and hands that reach around them: what each adapter is tested with."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection


class Stores(Struct):
    """What a process has in its hands."""

    events: EventStore
    cursors: CursorStore
    leases: LeaseStore
    transfers: TransferProjection


class Bench(ABC):
    """A place where things are kept, and somebody who has access to it.

    Attributes:
        commits_each: How many each of twenty writers writes in their race; fewer where it is slow.
    """

    commits_each = 20

    @abstractmethod
    async def open(self) -> Stores:
        """The stores as a process finds them that starts now; the one before has ended."""

    @abstractmethod
    async def pass_time(self, duration_ms: int) -> None:
        """Let the clock by which leases end go on."""

    @abstractmethod
    def lose_reply(self) -> None:
        """The next append is applied, and its caller is told that the store did not answer."""

    @abstractmethod
    async def load(self, seq: int) -> Document:
        """The document at *seq*, as it is kept."""

    @abstractmethod
    async def save(self, seq: int, document: Document | None) -> None:
        """Put *document* at *seq*, or remove what is there."""

    async def edit(self, seq: int, change: Callable[[Document], object]) -> None:
        """Let *change* change the document at *seq* in place."""
        document = await self.load(seq)
        change(document)
        await self.save(seq, document)

    async def delete(self, seq: int) -> None:
        """Leave a hole."""
        await self.save(seq, None)

    async def swap(self, first: int, second: int) -> None:
        """Each document in the place of the other."""
        documents = await self.load(first), await self.load(second)
        await self.save(first, documents[1])
        await self.save(second, documents[0])

    async def cut_tail(self, seq: int, newest: int) -> None:
        """Remove what comes after *seq*, up to *newest*."""
        for place in range(newest, seq, -1):
            await self.save(place, None)
