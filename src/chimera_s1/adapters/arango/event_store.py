"""A ledger in ArangoDB: one document per commit; its key holds the seq.

Insert-if-absent of one document is atomic in every kind of cluster: of two writers of one key, one
succeeds. So no transactions or locks are needed, and a write with an unknown outcome is resolved by
reading its key, or by sending the same bytes again.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import CoordinatorReply, Request
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
    commit_name,
    document_of,
    entry_from_document,
    head_of,
)
from chimera_s1.domain.ledger.sequence import missing_commit_error
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    NotLinked,
    SeqTaken,
)

READ_BATCH_SIZE: Final = 100
_SEQ_MIN, _SEQ_MAX = 1, 9_999_999_999_999_999
_CREATED_AND_SYNCED = 201
_INSERT = {"waitForSync": "1", "overwriteMode": "conflict", "silent": "0"}


class ArangoEventStore:
    """Implements `domain.ports.event_store.EventStore`."""

    def __init__(self, database: ArangoDatabase, ledger: str) -> None:
        self._database = database
        self._ledger = ledger
        self._highest_seq_seen = 0
        self._head_read: LedgerHead | None = None

    @property
    def ledger(self) -> str:
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        assert commit.ledger == self._ledger, "the commit belongs to another ledger"
        # A head that was just read is not read again.
        head, self._head_read = self._head_read, None
        work = partial(self._append_linked, commit, head)
        result = await self._database.run_command(work)
        if not isinstance(result, NotLinked):
            self._record_seen(commit.seq)
        return result

    async def head(self) -> LedgerHead:
        head = await self._database.run_command(self._head)
        # May be lower than before, if commits were removed: two coordinators agree on it, and
        # requiring a removed commit would block every later read.
        self._highest_seq_seen = head.seq
        self._head_read = head
        return head

    async def read(self, after: int, limit: int) -> tuple[LedgerEntry, ...]:
        work = partial(self._read, after, min(limit, READ_LIMIT_MAX))
        entries = await self._database.run_command(work)
        if entries:
            self._record_seen(after + len(entries))
        return entries

    async def read_stream(self, stream: str) -> tuple[LedgerEntry, ...]:
        """From a coordinator that has every commit seen so far: a stale one could hide the stream
        and let its idempotency key be used twice.
        """
        return await self._database.run_command(partial(self._read_stream, stream))

    def _append_linked(
        self, commit: Commit, head: LedgerHead | None, requests: RetryingRequests
    ) -> AppendResult:
        before = LedgerHead(commit.seq - 1, commit.prev_hash)
        if head != before and not self._may_follow(before, requests):
            return NotLinked()
        return self._append(commit, requests)

    def _may_follow(self, before: LedgerHead, requests: RetryingRequests) -> bool:
        """Whether *before* is stored; also True where its successor is: the insert shows that."""
        if not before.seq:
            return before == LedgerHead()
        (found,) = requests.find_documents(COMMITS, [self._key(before.seq)])
        if found is not None:
            return head_of(_entry(found).commit) == before
        # It is missing, or the coordinator is stale; of the head two are asked.
        head = self._head(requests)
        return head == before or head.seq > before.seq

    def _append(self, commit: Commit, requests: RetryingRequests) -> AppendResult:
        document = {**document_of(commit), "_key": self._key(commit.seq)}
        insert = Request("post", f"/_api/document/{COMMITS}", _INSERT, document)
        while True:
            try:
                reply = requests.send_once(insert)
            except ArangoRequestError as error:
                resolved = self._resolve_failed_append(commit, error, requests)
                if resolved is not None:
                    return resolved
                requests.back_off(error)
                continue
            _check_synced(reply)
            return Appended(commit)

    def _resolve_failed_append(
        self, commit: Commit, error: ArangoRequestError, requests: RetryingRequests
    ) -> AppendResult | None:
        """The outcome of an append that failed with *error*; None: send the same bytes again."""
        if classify_failure(error) is FailureClass.PERMANENT:
            raise error
        if isinstance(error, NotSentError):
            return None
        existing = self._find_commit(commit.seq, requests)
        if existing is not None and existing.commit_id == commit.commit_id:
            return Appended(existing, already_written=True)
        if existing is None and classify_failure(error) is not FailureClass.CONFLICT:
            return None
        # Another commit has the seq, or the unique index refused a free one: an earlier attempt
        # may have written this commit at another seq.
        earlier = self._find_by_commit_id(commit.commit_id, requests)
        if earlier is not None:
            return Appended(earlier, already_written=True)
        return None if existing is None else SeqTaken(existing)

    def _find_commit(self, seq: int, requests: RetryingRequests) -> Commit | None:
        document = requests.find_document(COMMITS, self._key(seq), Document)
        return None if document is None else _entry(document).commit

    def _find_by_commit_id(self, commit_id: str, requests: RetryingRequests) -> Commit | None:
        binds = {"@commits": COMMITS, "ledger": self._ledger, "commit_id": commit_id}
        for document in requests.query(queries.COMMIT_BY_ID, binds, Document):
            return _entry(document).commit
        return None

    def _head(self, requests: RetryingRequests) -> LedgerHead:
        newest = self._newest_commit(0, requests)
        # A stale coordinator shows an older one; another coordinator is asked for its successor.
        next_seq = _seq_of(newest) + 1
        if requests.find_document(COMMITS, self._key(next_seq), Document) is not None:
            newest = self._newest_commit(next_seq, requests)
        return LedgerHead() if newest is None else head_of(_entry(newest).commit)

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
            found = requests.find_documents(COMMITS, list(map(self._key, seqs)), must_have_seen)
            contiguous = list(_until_missing(found))
            entries.extend(map(_entry, contiguous))
            if len(contiguous) < len(seqs):
                if entries or self._is_last(after, requests):
                    break
                # A coordinator that lacks this commit is stale; ask another.
                must_have_seen = self._document_id(first)
        return tuple(entries)

    def _is_last(self, after: int, requests: RetryingRequests) -> bool:
        """Whether no commit follows *after*; False if its successor has appeared meanwhile.

        Raises:
            LedgerDamagedError: A later commit exists, and the successor does not.
        """
        binds = {"@commits": COMMITS, "after": self._key(after), "last": self._key(_SEQ_MAX)}
        for key in requests.query(queries.NEXT_COMMIT_KEY, binds, str):
            if key != self._key(after + 1):
                raise missing_commit_error(self._ledger, after + 1, _seq_of({"_key": key}))
            return False
        return True

    def _read_stream(self, stream: str, requests: RetryingRequests) -> tuple[LedgerEntry, ...]:
        binds = {"@commits": COMMITS, "ledger": self._ledger, "stream": stream}
        must_have_seen = self._document_id(self._highest_seq_seen)
        documents = requests.query(
            queries.COMMITS_OF_STREAM, binds, Document, READ_BATCH_SIZE, must_have_seen
        )
        return tuple(map(_entry, documents))

    def _key(self, seq: int) -> str:
        return commit_key(self._ledger, seq)

    def _document_id(self, seq: int) -> str:
        return f"{COMMITS}/{self._key(seq)}" if seq else ""

    def _record_seen(self, seq: int) -> None:
        self._highest_seq_seen = max(self._highest_seq_seen, seq)


def _check_synced(reply: CoordinatorReply) -> None:
    if reply.status != _CREATED_AND_SYNCED:
        raise NotDurableError(
            f"replied {reply.status} instead of 201: the commit may not survive a power failure",
            reply.coordinator,
        )


def _until_missing(documents: list[Document | None]) -> Iterator[Document]:
    for document in documents:
        if document is None:
            return
        yield document


def _entry(document: Document) -> LedgerEntry:
    ledger, _, seq = str(document["_key"]).rpartition("-")
    return entry_from_document(document, commit_name(ledger, int(seq)))


def _seq_of(document: Document | None) -> int:
    return 0 if document is None else int(str(document["_key"]).rpartition("-")[2])
