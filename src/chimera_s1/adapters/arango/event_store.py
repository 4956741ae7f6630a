"""A ledger in ArangoDB: one document a commit, whose key is its place.

Inserting a document that is not there yet is atomic in every kind of cluster, and of two writers of
one key the server lets one through. So neither transactions nor locks are needed, and a write whose
outcome is unknown is settled by looking at its key, or by sending the same bytes again.
"""

from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import Final

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.errors import (
    ArangoRequestError,
    FailureClass,
    NotDurableError,
    NotSentError,
    classify_failure,
)
from chimera_s1.adapters.arango.layout import COMMITS
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.ledger.commit import (
    Commit,
    Document,
    LedgerEntry,
    LedgerHead,
    commit_key,
    document_of,
    entry_from_document,
    head_of,
)
from chimera_s1.domain.ledger.sequence import missing_commit_error
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    SeqTaken,
)

READ_BATCH_SIZE: Final = 100
_SEQ_MIN, _SEQ_MAX = 1, 9_999_999_999_999_999
_CREATED_AND_SYNCED = 201
_INSERT = {"waitForSync": "1", "overwriteMode": "conflict", "silent": "0"}


class ArangoEventStore:
    """Implements `domain.ports.event_store.EventStore`."""

    def __init__(self, arango: ArangoDatabase, ledger: str) -> None:
        """Args:
        arango: Open for as long as this is used; it holds any number of ledgers.

        ledger: The name of this one.
        """
        self._arango = arango
        self._ledger = ledger
        self._highest_seq_seen = 0

    @property
    def ledger(self) -> str:
        """Its name."""
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        """Insert *commit* where its place is free, and have the disk waited for."""
        assert commit.ledger == self._ledger, "a commit goes into the ledger it was sealed for"
        result = await self._arango.run_command(partial(self._append, commit))
        self._note_seq(commit.seq)
        return result

    async def head(self) -> LedgerHead:
        """The newest commit's place and hash."""
        head = await self._arango.run_command(self._head)
        # Also where it is less than before: two have said so, and what is gone is waited for by
        # nobody.
        self._highest_seq_seen = head.seq
        return head

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        """The entries after place *after*, up to the first hole."""
        work = partial(self._read, after, min(limit, READ_LIMIT_MAX))
        entries = await self._arango.run_command(work)
        self._note_seq(after + len(entries) if entries else 0)
        return entries

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        """Every entry with an event of *stream*, from who knows all that was known here before: a
        stream that seems to be new makes a used key look free.
        """
        return await self._arango.run_command(partial(self._read_stream, stream))

    def _append(self, commit: Commit, requests: RetryingRequests) -> AppendResult:
        document = {**document_of(commit), "_key": self._key(commit.seq)}
        insert = Request("post", f"/_api/document/{COMMITS}", _INSERT, document)
        while True:
            try:
                reply = requests.send_once(insert)
            except ArangoRequestError as fault:
                settled = self._resolve_failed_append(commit, fault, requests)
                if settled is not None:
                    return settled
                requests.back_off(fault)
                continue
            if reply.status != _CREATED_AND_SYNCED:
                said = f"answers {reply.status} and not 201: the commit may not outlast a power cut"
                error = NotDurableError(said)
                error.coordinator = reply.coordinator
                raise error
            return Appended(commit)

    def _resolve_failed_append(
        self, commit: Commit, error: ArangoRequestError, requests: RetryingRequests
    ) -> AppendResult | None:
        """What *error* has come to; None where the same bytes are to be sent again."""
        if classify_failure(error) is FailureClass.PERMANENT:
            raise error
        if isinstance(error, NotSentError):
            return None
        stored = requests.find_document(COMMITS, self._key(commit.seq), Document)
        if stored is not None:
            taken_by = self._entry(stored).commit
            if taken_by.commit_id == commit.commit_id:
                return Appended(taken_by, already_written=True)
        elif classify_failure(error) is not FailureClass.CONFLICT:
            return None
        # Refused though the place is free, or taken by somebody else: perhaps ours is elsewhere.
        binds = {"@commits": COMMITS, "ledger": self._ledger, "commit_id": commit.commit_id}
        for by_commit_id in requests.query(queries.COMMIT_BY_ID, binds, Document):
            return Appended(self._entry(by_commit_id).commit, already_written=True)
        return None if stored is None else SeqTaken(taken_by)

    def _head(self, requests: RetryingRequests) -> LedgerHead:
        newest = self._newest_commit(0, requests)
        # A coordinator that lags shows an older one; another one is asked for what comes after it.
        later = _seq_of(newest) + 1
        if requests.find_document(COMMITS, self._key(later), Document) is not None:
            newest = self._newest_commit(later, requests)
        return LedgerHead() if newest is None else head_of(self._entry(newest).commit)

    def _newest_commit(self, seen_seq: int, requests: RetryingRequests) -> Document | None:
        binds = {"@commits": COMMITS, "first": self._key(_SEQ_MIN), "last": self._key(_SEQ_MAX)}
        found = requests.query(
            queries.HEAD_COMMIT, binds, Document, must_have_seen=self._document_id(seen_seq)
        )
        return next(iter(found), None)

    def _read(self, after: int, limit: int, requests: RetryingRequests) -> tuple[LedgerEntry, ...]:
        entries: list[LedgerEntry] = []
        must_have_seen = ""
        while len(entries) < limit:
            first = after + 1 + len(entries)
            seqs = range(first, min(first + READ_BATCH_SIZE, after + 1 + limit))
            keys = [self._key(place) for place in seqs]
            found = requests.find_documents(COMMITS, keys, must_have_seen)
            contiguous = list(takewhile(lambda each: each is not None, found))
            entries.extend(self._entry(each) for each in contiguous if each is not None)
            if len(contiguous) < len(seqs):
                if entries or self._is_last(after, requests):
                    break
                must_have_seen = self._document_id(first)  # who has not even that lags
        return tuple(entries)

    def _is_last(self, after: int, requests: RetryingRequests) -> bool:
        """Whether nothing comes after place *after*; False where its successor has come meanwhile.

        Raises:
            LedgerDamagedError: Something comes, and not the successor.
        """
        binds = {"@commits": COMMITS, "after": self._key(after), "last": self._key(_SEQ_MAX)}
        for key in requests.query(queries.NEXT_COMMIT_KEY, binds, str):
            if key != self._key(after + 1):
                raise missing_commit_error(self._ledger, after + 1, _seq_of({"_key": key}))
            return False
        return True

    def _read_stream(self, stream: str, requests: RetryingRequests) -> tuple[LedgerEntry, ...]:
        binds = {"@commits": COMMITS, "ledger": self._ledger, "stream": stream}
        known = self._document_id(self._highest_seq_seen)
        return self._entries(
            requests.query(queries.COMMITS_OF_STREAM, binds, Document, READ_BATCH_SIZE, known)
        )

    def _entries(self, documents: Sequence[Document]) -> tuple[LedgerEntry, ...]:
        return tuple(map(self._entry, documents))

    def _entry(self, document: Document) -> LedgerEntry:
        return entry_from_document(document, str(document["_key"]))

    def _key(self, seq: int) -> str:
        return commit_key(self._ledger, seq)

    def _document_id(self, seq: int) -> str:
        return f"{COMMITS}/{self._key(seq)}" if seq else ""

    def _note_seq(self, seq: int) -> None:
        self._highest_seq_seen = max(self._highest_seq_seen, seq)


def _seq_of(document: Document | None) -> int:
    return 0 if document is None else int(str(document["_key"]).rpartition("-")[2])
