"""A ledger in memory."""

from anyio.lowlevel import checkpoint
from msgspec import Struct, field

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import (
    Commit,
    Entry,
    Head,
    commit_key,
    decode_entry,
    encode_commit,
    head_of,
)
from chimera_s1.domain.ledger.sequence import contiguous
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    SeqTaken,
)


class MemoryLedger(Struct):
    """What is kept; it outlives the store, as a file outlives a process.

    Attributes:
        documents: Place -> the commit as text.

        places: Commit id -> place.

        streams: Stream -> places, ascending.
    """

    documents: dict[int, bytes] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    streams: dict[str, list[int]] = field(default_factory=dict)


class MemoryEventStore:
    """Implements `domain.ports.event_store.EventStore`; `gone` makes it unreachable until it is set
    back, and the replies to the next `replies_to_lose` appends get lost after they were applied.
    """

    def __init__(self, ledger: str, kept: MemoryLedger | None = None) -> None:
        """Args:
        ledger: Its name.

        kept: What an earlier store has left, or another one shares; None begins a new ledger.
        """
        self.kept = MemoryLedger() if kept is None else kept
        self.gone = False
        self.replies_to_lose = 0
        self._ledger = ledger

    @property
    def ledger(self) -> str:
        """Its name."""
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        """Insert *commit* where its place is free."""
        assert commit.ledger == self._ledger, "a commit goes into the ledger it was sealed for"
        await self._reach()
        result = self._insert(commit)
        await checkpoint()
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailableError("the reply of the ledger's store was lost")
        return result

    async def head(self) -> Head:
        """The newest commit's place and hash."""
        await self._reach()
        newest = max(self.kept.documents, default=0)
        return head_of(self._entry(newest).commit) if newest else Head()

    async def read(self, after: int, limit: int) -> tuple[Entry, ...]:
        """The entries after place *after*, up to the first hole."""
        await self._reach()
        later = sorted(place for place in self.kept.documents if place > after)
        wanted = later[: min(limit, READ_LIMIT_MAX)]
        return tuple(map(self._entry, wanted[: contiguous(wanted, self._ledger, after)]))

    async def read_stream(self, stream: str) -> tuple[Entry, ...]:
        """Every entry with an event of *stream*."""
        await self._reach()
        return tuple(map(self._entry, self.kept.streams.get(stream, ())))

    def _insert(self, commit: Commit) -> AppendResult:
        kept = self.kept
        if commit.commit_id in kept.places:
            return Appended(self._entry(kept.places[commit.commit_id]).commit, again=True)
        if commit.seq in kept.documents:
            return SeqTaken(self._entry(commit.seq).commit)
        kept.documents[commit.seq] = encode_commit(commit)
        kept.places[commit.commit_id] = commit.seq
        for stream in commit.streams:
            kept.streams.setdefault(stream, []).append(commit.seq)
        return Appended(commit)

    def _entry(self, seq: int) -> Entry:
        return decode_entry(self.kept.documents.get(seq, b""), commit_key(self._ledger, seq))

    async def _reach(self) -> None:
        await checkpoint()
        if self.gone:
            raise StoreUnavailableError("the ledger's store is gone")
