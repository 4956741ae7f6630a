"""A ledger in memory."""

from anyio.lowlevel import checkpoint
from msgspec import Struct, field

from chimera_s1.domain.ledger.commit import (
    GENESIS_HASH,
    Commit,
    LedgerEntry,
    LedgerHead,
    commit_name,
    decode_entry,
    encode_commit,
    head_of,
)
from chimera_s1.domain.ledger.sequence import contiguous_count
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    NotLinked,
    SeqTaken,
)


class LedgerContents(Struct):
    documents_by_seq: dict[int, bytes] = field(default_factory=dict)
    seqs_by_commit_id: dict[str, int] = field(default_factory=dict)
    seqs_by_stream: dict[str, list[int]] = field(default_factory=dict)


class MemoryEventStore:
    """Implements `domain.ports.event_store.EventStore`."""

    def __init__(self, ledger: str) -> None:
        self.contents = LedgerContents()
        self._ledger = ledger

    @property
    def ledger(self) -> str:
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        assert commit.ledger == self._ledger, "the commit belongs to another ledger"
        await checkpoint()
        result = self._insert(commit)
        await checkpoint()
        return result

    async def head(self) -> LedgerHead:
        await checkpoint()
        newest = max(self.contents.documents_by_seq, default=0)
        return head_of(self._entry(newest).commit) if newest else LedgerHead()

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        await checkpoint()
        later = sorted(seq for seq in self.contents.documents_by_seq if seq > after)
        page = later[: min(limit, READ_LIMIT_MAX)]
        return tuple(map(self._entry, page[: contiguous_count(page, self._ledger, after)]))

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        await checkpoint()
        return tuple(map(self._entry, self.contents.seqs_by_stream.get(stream, ())))

    def _insert(self, commit: Commit) -> AppendResult:
        contents = self.contents
        if not self._is_linked(commit):
            return NotLinked()
        written_seq = contents.seqs_by_commit_id.get(commit.commit_id)
        if written_seq is not None:
            return Appended(self._entry(written_seq).commit, already_written=True)
        if commit.seq in contents.documents_by_seq:
            return SeqTaken(self._entry(commit.seq).commit)
        contents.documents_by_seq[commit.seq] = encode_commit(commit)
        contents.seqs_by_commit_id[commit.commit_id] = commit.seq
        for stream in commit.streams:
            contents.seqs_by_stream.setdefault(stream, []).append(commit.seq)
        return Appended(commit)

    def _is_linked(self, commit: Commit) -> bool:
        if commit.seq == 1:
            return commit.prev_hash == GENESIS_HASH
        if commit.seq - 1 not in self.contents.documents_by_seq:
            return False
        return self._entry(commit.seq - 1).commit.hash == commit.prev_hash

    def _entry(self, seq: int) -> LedgerEntry:
        document = self.contents.documents_by_seq.get(seq, b"")
        return decode_entry(document, commit_name(self._ledger, seq))
