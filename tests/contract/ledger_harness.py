"""What the contract tests of the ledger's stores need from each adapter."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.cursor_store import CursorStore
from chimera_s1.domain.ports.dead_letters import DeadLetters
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.installation_store import InstallationStore
from chimera_s1.domain.ports.job_runs import JobRuns
from chimera_s1.domain.ports.lease_store import LeaseStore
from chimera_s1.domain.ports.transfer_projection import TransferProjection

LETTERS_MAX = 5


class StoreSet(Struct):
    """The open stores of one process."""

    events: EventStore
    cursors: CursorStore
    leases: LeaseStore
    transfers: TransferProjection
    installation: InstallationStore
    job_runs: JobRuns
    dead_letters: DeadLetters


class LedgerHarness(ABC):
    """Stored data that outlives its connections, and access to it behind the stores' backs.

    Attributes:
        commits_per_writer: In a test with twenty concurrent writers; lower for a slow adapter.
        loses_replies: Whether an append may find its own commit after an error.
    """

    commits_per_writer = 10
    loses_replies = False

    @abstractmethod
    async def open(self) -> StoreSet:
        """Stores as opened by a new process after the previous one has ended."""

    @abstractmethod
    async def pass_time(self, duration_ms: int) -> None:
        """Advance the clock by which leases expire."""

    @abstractmethod
    def lose_next_reply(self) -> None:
        """The next append is applied and raises StoreUnavailableError."""

    @abstractmethod
    async def load_document(self, seq: int) -> Document:
        """The document at *seq*, as stored."""

    @abstractmethod
    async def save_document(self, seq: int, document: Document | None) -> None:
        """Store *document* at *seq*; None deletes the stored one."""

    async def edit_document(self, seq: int, change: Callable[[Document], object]) -> None:
        """Apply *change* to the document at *seq*."""
        document = await self.load_document(seq)
        change(document)
        await self.save_document(seq, document)

    async def delete_document(self, seq: int) -> None:
        await self.save_document(seq, None)

    async def swap_documents(self, first: int, second: int) -> None:
        documents = await self.load_document(first), await self.load_document(second)
        await self.save_document(first, documents[1])
        await self.save_document(second, documents[0])

    async def cut_tail(self, seq: int, newest: int) -> None:
        """Delete every document after *seq*, up to *newest*."""
        for removed_seq in range(newest, seq, -1):
            await self.delete_document(removed_seq)
