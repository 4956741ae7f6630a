"""
A ledger in ArangoDB: one document a commit, whose key is its place.

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
from chimera_s1.adapters.arango.errand import Errand
from chimera_s1.adapters.arango.errors import (
    ArangoFault,
    NotDurableError,
    NotSentError,
    Verdict,
    classify,
)
from chimera_s1.adapters.arango.layout import COMMITS
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
from chimera_s1.domain.ledger.places import missing
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
    """
    Implements `domain.ports.event_store.EventStore`.
    """

    def __init__(self, arango: Arango, ledger: str) -> None:
        """
        Args:
            arango: Open for as long as this is used; it holds any number of ledgers.

            ledger: The name of this one.
        """
        self._arango = arango
        self._ledger = ledger

    @property
    def ledger(self) -> str:
        """
        Its name.
        """
        return self._ledger

    async def append(self, commit: Commit) -> AppendResult:
        """
        Insert *commit* where its place is free, and have the disk waited for.
        """
        assert commit.ledger == self._ledger, "a commit goes into the ledger it was sealed for"
        return await self._arango.command(partial(self._append, commit))

    async def head(self) -> Head:
        """
        The newest commit's place and hash.
        """
        return await self._arango.command(self._head)

    async def read(self, after: int, limit: int) -> tuple[Entry, ...]:
        """
        The entries after place *after*, up to the first hole.
        """
        return await self._arango.command(partial(self._read, after, min(limit, READ_LIMIT_MAX)))

    async def read_stream(self, stream: str) -> tuple[Entry, ...]:
        """
        Every entry with an event of *stream*.
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
        """
        What *fault* has come to; None where the same bytes are to be sent again.
        """
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
        binds = {"@commits": COMMITS, "first": self._key(_FIRST), "last": self._key(_LAST)}
        newest = next(iter(errand.query(queries.HEAD, binds, Document)), None)
        # A coordinator that lags shows an older one; another one is asked for what comes after it.
        while (later := errand.find(COMMITS, self._key(_place(newest) + 1), Document)) is not None:
            newest = later
        return Head() if newest is None else head_of(self._entry(newest).commit)

    def _read(self, after: int, limit: int, errand: Errand) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        while len(entries) < limit:
            first = after + 1 + len(entries)
            places = range(first, min(first + READ_AT_ONCE, after + 1 + limit))
            found = errand.find_many(COMMITS, [self._key(place) for place in places])
            dense = list(takewhile(lambda each: each is not None, found))
            entries.extend(self._entry(each) for each in dense if each is not None)
            if len(dense) < len(places) and (entries or self._ends_at(after, errand)):
                break
        return tuple(entries)

    def _ends_at(self, after: int, errand: Errand) -> bool:
        """
        Whether nothing comes after place *after*; False where its successor has come meanwhile.

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
        return self._entries(errand.query(queries.STREAM, binds, Document, READ_AT_ONCE))

    def _entries(self, documents: Sequence[Document]) -> tuple[Entry, ...]:
        return tuple(map(self._entry, documents))

    def _entry(self, document: Document) -> Entry:
        return entry_of(document, str(document["_key"]))

    def _key(self, place: int) -> str:
        return commit_key(self._ledger, place)


def _place(document: Document | None) -> int:
    return 0 if document is None else int(str(document["_key"]).rpartition("-")[2])
