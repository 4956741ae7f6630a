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
from chimera_s1.adapters.arango.coordinator import Asked
from chimera_s1.adapters.arango.database import Arango
from chimera_s1.adapters.arango.errors import (
    ArangoFault,
    NotDurableError,
    NotSentError,
    Verdict,
    classify,
)
from chimera_s1.adapters.arango.layout import COMMITS
from chimera_s1.adapters.arango.retrying_requests import Errand
from chimera_s1.domain.ledger.commit import (
    Commit,
    Document,
    Entry,
    Head,
    commit_key,
    document_of,
    entry_of,
    head_of,
)
from chimera_s1.domain.ledger.sequence import missing
from chimera_s1.domain.ports.event_store import (
    READ_LIMIT_MAX,
    Appended,
    AppendResult,
    SeqTaken,
)

READ_AT_ONCE: Final = 100
_FIRST, _LAST = 1, 9_999_999_999_999_999
_CREATED_AND_SYNCED = 201
_INSERT = {"waitForSync": "1", "overwriteMode": "conflict", "silent": "0"}


class ArangoEventStore:
    """Implements `domain.ports.event_store.EventStore`."""

    def __init__(self, arango: Arango, ledger: str) -> None:
        """Args:
        arango: Open for as long as this is used; it holds any number of ledgers.

        ledger: The name of this one.
        """
        self._arango = arango
        self._ledger = ledger
        self._known = 0

    @property
    def ledger(self) -> str:
        """Its name."""
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        """Insert *commit* where its place is free, and have the disk waited for."""
        assert commit.ledger == self._ledger, "a commit goes into the ledger it was sealed for"
        result = await self._arango.command(partial(self._append, commit))
        self._know(commit.seq)
        return result

    async def head(self) -> Head:
        """The newest commit's place and hash."""
        head = await self._arango.command(self._head)
        # Also where it is less than before: two have said so, and what is gone is waited for by
        # nobody.
        self._known = head.seq
        return head

    async def read(self, after: int, limit: int) -> tuple[Entry, ...]:
        """The entries after place *after*, up to the first hole."""
        work = partial(self._read, after, min(limit, READ_LIMIT_MAX))
        entries = await self._arango.command(work)
        self._know(after + len(entries) if entries else 0)
        return entries

    async def read_stream(self, stream: str) -> tuple[Entry, ...]:
        """Every entry with an event of *stream*, from who knows all that was known here before: a
        stream that seems to be new makes a used key look free.
        """
        return await self._arango.command(partial(self._read_stream, stream))

    def _append(self, commit: Commit, errand: Errand) -> AppendResult:
        document = {**document_of(commit), "_key": self._key(commit.seq)}
        insert = Asked("post", f"/_api/document/{COMMITS}", _INSERT, document)
        while True:
            try:
                reply = errand.once(insert)
            except ArangoFault as fault:
                settled = self._settle(commit, fault, errand)
                if settled is not None:
                    return settled
                errand.pause(fault)
                continue
            if reply.status != _CREATED_AND_SYNCED:
                said = f"answers {reply.status} and not 201: the commit may not outlast a power cut"
                undurable = NotDurableError(said)
                undurable.coordinator = reply.coordinator
                raise undurable
            return Appended(commit)

    def _settle(self, commit: Commit, fault: ArangoFault, errand: Errand) -> AppendResult | None:
        """What *fault* has come to; None where the same bytes are to be sent again."""
        if classify(fault) is Verdict.PERMANENT:
            raise fault
        if isinstance(fault, NotSentError):
            return None
        there = errand.find(COMMITS, self._key(commit.seq), Document)
        if there is not None:
            taken_by = self._entry(there).commit
            if taken_by.commit_id == commit.commit_id:
                return Appended(taken_by, again=True)
        elif classify(fault) is not Verdict.LOST_RACE:
            return None
        # Refused though the place is free, or taken by somebody else: perhaps ours is elsewhere.
        binds = {"@commits": COMMITS, "ledger": self._ledger, "commit_id": commit.commit_id}
        for ours in errand.query(queries.BY_COMMIT_ID, binds, Document):
            return Appended(self._entry(ours).commit, again=True)
        return None if there is None else SeqTaken(taken_by)

    def _head(self, errand: Errand) -> Head:
        newest = self._newest(0, errand)
        # A coordinator that lags shows an older one; another one is asked for what comes after it.
        later = _place(newest) + 1
        if errand.find(COMMITS, self._key(later), Document) is not None:
            newest = self._newest(later, errand)
        return Head() if newest is None else head_of(self._entry(newest).commit)

    def _newest(self, known: int, errand: Errand) -> Document | None:
        binds = {"@commits": COMMITS, "first": self._key(_FIRST), "last": self._key(_LAST)}
        found = errand.query(queries.HEAD, binds, Document, knowing=self._document(known))
        return next(iter(found), None)

    def _read(self, after: int, limit: int, errand: Errand) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        next_one = ""
        while len(entries) < limit:
            first = after + 1 + len(entries)
            places = range(first, min(first + READ_AT_ONCE, after + 1 + limit))
            keys = [self._key(place) for place in places]
            found = errand.find_many(COMMITS, keys, next_one)
            dense = list(takewhile(lambda each: each is not None, found))
            entries.extend(self._entry(each) for each in dense if each is not None)
            if len(dense) < len(places):
                if entries or self._ends_at(after, errand):
                    break
                next_one = self._document(first)  # who has not even that lags
        return tuple(entries)

    def _ends_at(self, after: int, errand: Errand) -> bool:
        """Whether nothing comes after place *after*; False where its successor has come meanwhile.

        Raises:
            LedgerDamagedError: Something comes, and not the successor.
        """
        binds = {"@commits": COMMITS, "after": self._key(after), "last": self._key(_LAST)}
        for key in errand.query(queries.NEXT, binds, str):
            if key != self._key(after + 1):
                raise missing(self._ledger, after + 1, _place({"_key": key}))
            return False
        return True

    def _read_stream(self, stream: str, errand: Errand) -> tuple[Entry, ...]:
        binds = {"@commits": COMMITS, "ledger": self._ledger, "stream": stream}
        known = self._document(self._known)
        return self._entries(errand.query(queries.STREAM, binds, Document, READ_AT_ONCE, known))

    def _entries(self, documents: Sequence[Document]) -> tuple[Entry, ...]:
        return tuple(map(self._entry, documents))

    def _entry(self, document: Document) -> Entry:
        return entry_of(document, str(document["_key"]))

    def _key(self, place: int) -> str:
        return commit_key(self._ledger, place)

    def _document(self, place: int) -> str:
        return f"{COMMITS}/{self._key(place)}" if place else ""

    def _know(self, place: int) -> None:
        self._known = max(self._known, place)


def _place(document: Document | None) -> int:
    return 0 if document is None else int(str(document["_key"]).rpartition("-")[2])
