"""A log of changes that several writers extend: one document for each batch of changes.

The key is the batch's number, without gaps. A writer takes the number that follows the last batch
it has read; of two writers of one number, one succeeds. So batches appear in their order, a
follower misses none, and a version is checked against everything written before it.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from secrets import token_hex
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.errors import (
    ArangoRequestError,
    FailureClass,
    NotSentError,
    RequestRejectedError,
    UnexpectedDocumentError,
    classify_failure,
)
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.ledger.commit import Document

T = TypeVar("T")

POSITIONS_PER_BATCH: Final = 1_000
FORGOTTEN_AT_ONCE: Final = 100
_INSERT = {"overwriteMode": "conflict", "silent": "0"}
UNACCEPTABLE: Final = frozenset({400, 413})
"""Statuses that are about what is written, and not about the server or the user."""


class Batch(Struct, Generic[T], frozen=True):
    """Attributes:
    withdrawn: The places of changes that do not count any more.
    """

    number: int
    changes: tuple[T, ...]
    withdrawn: frozenset[int] = frozenset()

    def counted(self) -> dict[int, T]:
        """The changes that count, by their places."""
        return {n: each for n, each in enumerate(self.changes) if n not in self.withdrawn}

    def positioned(self) -> list[tuple[int, T]]:
        """Each change that counts with its position in the log."""
        start = self.number * POSITIONS_PER_BATCH
        return [(start + place, change) for place, change in self.counted().items()]


class BatchAppended(Struct, frozen=True):
    """It is stored under its number."""


class NumberTaken(Struct, frozen=True):
    """Another writer's batch has the number."""


class BatchRefused(Struct, frozen=True):
    """The server does not accept the document."""

    reason: str


AppendOutcome: TypeAlias = BatchAppended | NumberTaken | BatchRefused


class _StoredBatch(Struct, frozen=True):
    batch_id: str


class _OldBatch(Struct, frozen=True):
    key: str
    newest_at: int
    changes: int


class DenseLog(Struct, Generic[T], frozen=True):
    """Attributes:
    batch_max: Changes in a document, which stays below about 1 MB.
    decode: Raises `InvalidValueError` for a damaged change.
    time_of: Epoch ms of a change.
    """

    collection: str
    batch_max: int
    batches_per_read: int
    encode: Callable[[T], Document]
    decode: Callable[[Document], T]
    time_of: Callable[[T], int]

    def append(self, batch: Batch[T], requests: RetryingRequests) -> AppendOutcome:
        """Write *batch*, whose number follows that of the last batch read."""
        key = _key(batch.number)
        document = {
            "_key": key,
            "batch_id": token_hex(8),
            "newest_at": max(map(self.time_of, batch.changes)),
            "changes": list(map(self.encode, batch.changes)),
        }
        insert = Request("post", f"/_api/document/{self.collection}", _INSERT, document)
        while True:
            try:
                requests.send_once(insert)
            except ArangoRequestError as error:
                if isinstance(error, RequestRejectedError) and error.status in UNACCEPTABLE:
                    return BatchRefused(error.description)
                if classify_failure(error) is FailureClass.PERMANENT:
                    raise
                # The insert may have been applied: the same bytes again, unless they are there.
                stored = None
                if not isinstance(error, NotSentError):
                    stored = requests.find_document(self.collection, key, _StoredBatch)
                if stored is not None:
                    ours = stored.batch_id == document["batch_id"]
                    return BatchAppended() if ours else NumberTaken()
                requests.back_off(error)
            else:
                return BatchAppended()

    def read_batches(
        self, after: int, requests: RetryingRequests, *, since: int = 0, seen: int = 0
    ) -> list[Batch[T]]:
        """Batches beyond number *after* that may have a change not before the time *since*; at most
        *batches_per_read*.

        *seen* is the number of a batch that is stored: a coordinator that lacks it is not asked.
        """
        limit = self.batches_per_read
        binds: dict[str, str | int] = {
            "@changes": self.collection,
            "after": _key(after),
            "since": since,
            "limit": limit,
        }
        found = requests.query(
            queries.CHANGE_BATCHES, binds, Document, limit, self.document_id(seen)
        )
        return [self._batch(document) for document in found]

    def withdraw(self, batch: Batch[T], places: Iterable[int], requests: RetryingRequests) -> None:
        """Let the changes at *places* of a stored batch count no more; their positions stay."""
        withdrawn = sorted({*batch.withdrawn, *places})
        path = f"/_api/document/{self.collection}/{_key(batch.number)}"
        requests.send(Request("patch", path, body={"withdrawn": withdrawn}))

    def read(
        self,
        after: int,
        limit: int,
        requests: RetryingRequests,
        *,
        since: int = 0,
        through: int | None = None,
    ) -> Sequence[tuple[int, T]]:
        """Changes beyond position *after* and not before the time *since*, in order; at most
        *limit*, each with its position. *through* is the number of the last batch to read.
        """
        found: list[tuple[int, T]] = []
        last = max(after // POSITIONS_PER_BATCH - 1, 0)
        while len(found) < limit:
            batches = self.read_batches(last, requests, since=since)
            found += [
                (position, change)
                for batch in batches
                if through is None or batch.number <= through
                for position, change in batch.positioned()
                if position > after and self.time_of(change) >= since
            ]
            if len(batches) < self.batches_per_read:
                break
            last = batches[-1].number
        return found[:limit]

    def forget(self, through: int, before: int, requests: RetryingRequests) -> int:
        """Remove batches at the start of the log whose changes are all before position *through*
        and before the time *before*; returns the number of their changes. At most
        `FORGOTTEN_AT_ONCE` batches.

        The batch of *through* stays, so the newest one does: its number is not taken again.
        """
        binds: dict[str, str | int] = {
            "@changes": self.collection,
            "before": _key(through // POSITIONS_PER_BATCH),
            "limit": FORGOTTEN_AT_ONCE,
        }
        oldest = requests.query(queries.OLDEST_BATCHES, binds, _OldBatch, FORGOTTEN_AT_ONCE)
        old = list(takewhile(lambda batch: batch.newest_at < before, oldest))
        if old:
            keys = [batch.key for batch in old]
            requests.send(Request("delete", f"/_api/document/{self.collection}", body=keys))
        return sum(batch.changes for batch in old)

    def document_id(self, number: int) -> str:
        """Of a batch, for reads that must have seen it; empty for none."""
        return f"{self.collection}/{_key(number)}" if number else ""

    def _batch(self, document: Document) -> Batch[T]:
        try:
            changes = msgspec.convert(document.get("changes"), list[Document])
            withdrawn = msgspec.convert(document.get("withdrawn", ()), frozenset[int])
            return Batch(int(str(document["_key"])), tuple(map(self.decode, changes)), withdrawn)
        except (msgspec.ValidationError, InvalidValueError) as error:
            what = f"has a damaged document {self.collection}/{document['_key']} ({error})"
            raise UnexpectedDocumentError(what, cure="restore it") from error


def end_of_batch(number: int) -> int:
    """No change of the batch has a later position, and none of the next an earlier one."""
    return (number + 1) * POSITIONS_PER_BATCH - 1


def _key(number: int) -> str:
    return f"{number:016d}"
