"""The stores a ledger needs, and hands that reach around them: what each adapter is tested with."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection


class StoreSet(Struct):
    """What a process has in its hands."""

    events: EventStore
    cursors: CursorStore
    leases: LeaseStore
    transfers: TransferProjection


class LedgerHarness(ABC):
    """A place where things are kept, and somebody who has access to it.

    Attributes:
        commits_per_writer: How many each of twenty writers writes in their race; fewer where it is
            slow.
    """

    commits_per_writer = 20

    @abstractmethod
    async def open(self) -> StoreSet:
        """The stores as a process finds them that starts now; the one before has ended."""

    @abstractmethod
    async def pass_time(self, duration_ms: int) -> None:
        """Let the clock by which leases end go on."""

    @abstractmethod
    def lose_next_reply(self) -> None:
        """The next append is applied, and its caller is told that the store did not answer."""

    @abstractmethod
    async def load_document(self, seq: int) -> Document:
        """The document at *seq*, as it is kept."""

    @abstractmethod
    async def save_document(self, seq: int, document: Document | None) -> None:
        """Put *document* at *seq*, or remove what is there."""

    async def edit_document(self, seq: int, change: Callable[[Document], object]) -> None:
        """Let *change* change the document at *seq* in place."""
        document = await self.load_document(seq)
        change(document)
        await self.save_document(seq, document)

    async def delete_document(self, seq: int) -> None:
        """Leave a hole."""
        await self.save_document(seq, None)

    async def swap_documents(self, first: int, second: int) -> None:
        """Each document in the place of the other."""
        documents = await self.load_document(first), await self.load_document(second)
        await self.save_document(first, documents[1])
        await self.save_document(second, documents[0])

    async def cut_tail(self, seq: int, newest: int) -> None:
        """Remove what comes after *seq*, up to *newest*."""
        for number in range(newest, seq, -1):
            await self.save_document(number, None)
