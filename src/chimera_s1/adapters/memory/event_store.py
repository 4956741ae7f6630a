"""A ledger in memory."""

from anyio.lowlevel import checkpoint
from msgspec import Struct, field

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import (
    Commit,
    LedgerEntry,
    LedgerHead,
    commit_key,
    decode_entry,
    encode_commit,
    head_of,
)
from chimera_s1.domain.ledger.sequence import contiguous_count
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    SeqTaken,
)


class LedgerContents(Struct):
    """What is kept; it outlives the store, as a file outlives a process.

    Attributes:
        documents_by_seq: Place -> the commit as text.

        seqs_by_commit_id: Commit id -> place.

        seqs_by_stream: Stream -> places, ascending.
    """

    documents_by_seq: dict[int, bytes] = field(default_factory=dict)
    seqs_by_commit_id: dict[str, int] = field(default_factory=dict)
    seqs_by_stream: dict[str, list[int]] = field(default_factory=dict)


class MemoryEventStore:
    """Implements `domain.ports.event_store.EventStore`; `unavailable` makes it unreachable until it
    is set
    back, and the replies to the next `replies_to_lose` appends get lost after they were applied.
    """

    def __init__(self, ledger: str, kept: LedgerContents | None = None) -> None:
        """Args:
        ledger: Its name.

        kept: What an earlier store has left, or another one shares; None begins a new ledger.
        """
        self.contents = LedgerContents() if kept is None else kept
        self.unavailable = False
        self.replies_to_lose = 0
        self._ledger = ledger

    @property
    def ledger(self) -> str:
        """Its name."""
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        """Insert *commit* where its place is free."""
        assert commit.ledger == self._ledger, "a commit goes into the ledger it was sealed for"
        await self._check_available()
        result = self._insert(commit)
        await checkpoint()
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the reply of the ledger's store was lost")
        return result

    async def head(self) -> LedgerHead:
        """The newest commit's place and hash."""
        await self._check_available()
        newest = max(self.contents.documents_by_seq, default=0)
        return head_of(self._entry(newest).commit) if newest else LedgerHead()

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        """The entries after place *after*, up to the first hole."""
        await self._check_available()
        later = sorted(place for place in self.contents.documents_by_seq if place > after)
        wanted = later[: min(limit, READ_LIMIT_MAX)]
        return tuple(map(self._entry, wanted[: contiguous_count(wanted, self._ledger, after)]))

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        """Every entry with an event of *stream*."""
        await self._check_available()
        return tuple(map(self._entry, self.contents.seqs_by_stream.get(stream, ())))

    def _insert(self, commit: Commit) -> AppendResult:
        kept = self.contents
        if commit.commit_id in kept.seqs_by_commit_id:
            return Appended(
                self._entry(kept.seqs_by_commit_id[commit.commit_id]).commit, already_written=True
            )
        if commit.seq in kept.documents_by_seq:
            return SeqTaken(self._entry(commit.seq).commit)
        kept.documents_by_seq[commit.seq] = encode_commit(commit)
        kept.seqs_by_commit_id[commit.commit_id] = commit.seq
        for stream in commit.streams:
            kept.seqs_by_stream.setdefault(stream, []).append(commit.seq)
        return Appended(commit)

    def _entry(self, seq: int) -> LedgerEntry:
        return decode_entry(
            self.contents.documents_by_seq.get(seq, b""), commit_key(self._ledger, seq)
        )

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError("the ledger's store is gone")
