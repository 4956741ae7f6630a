"""The changes of the instrument registry in ArangoDB: one document for each batch of changes.

The key is the batch's number, without gaps. A writer takes the number that follows the last batch
it has read; of two writers of one number, one succeeds. So batches appear in their order, a
follower misses none, and a version is checked against everything written before it.
"""

from secrets import token_hex
from typing import Final, TypeAlias

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
from chimera_s1.adapters.arango.layout import REGISTRY_CHANGES
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.instrument import RegistryChange
from chimera_s1.domain.instruments.registry_document import (
    Document,
    change_document,
    change_from_document,
)
from chimera_s1.domain.ports.instrument_registry import RecordedChange

BATCH_MAX: Final = 100
"""Changes in a document, which stays below about 1 MB."""

BATCHES_PER_READ: Final = 10
_POSITIONS_PER_BATCH: Final = 1_000
_INSERT = {"overwriteMode": "conflict", "silent": "0"}
_UNACCEPTABLE = frozenset({400, 413})
"""Statuses that are about the document, and not about the server or the user."""


class Batch(Struct, frozen=True):
    number: int
    changes: tuple[RegistryChange, ...]

    def recorded(self) -> list[RecordedChange]:
        first = self.number * _POSITIONS_PER_BATCH
        return [RecordedChange(first + n, change) for n, change in enumerate(self.changes)]


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


def append_batch(batch: Batch, requests: RetryingRequests) -> AppendOutcome:
    """Write *batch*, whose number follows that of the last batch read."""
    key = _key(batch.number)
    document = {
        "_key": key,
        "batch_id": token_hex(8),
        "newest_at": max(change.row.updated_at for change in batch.changes),
        "changes": [change_document(change) for change in batch.changes],
    }
    insert = Request("post", f"/_api/document/{REGISTRY_CHANGES}", _INSERT, document)
    while True:
        try:
            requests.send_once(insert)
        except ArangoRequestError as error:
            if isinstance(error, RequestRejectedError) and error.status in _UNACCEPTABLE:
                return BatchRefused(error.description)
            if classify_failure(error) is FailureClass.PERMANENT:
                raise
            # The insert may have been applied: the same bytes again, unless they are there.
            stored = None
            if not isinstance(error, NotSentError):
                stored = requests.find_document(REGISTRY_CHANGES, key, _StoredBatch)
            if stored is not None:
                ours = stored.batch_id == document["batch_id"]
                return BatchAppended() if ours else NumberTaken()
            requests.back_off(error)
        else:
            return BatchAppended()


def read_batches(
    after: int,
    requests: RetryingRequests,
    *,
    since: int = 0,
    limit: int = BATCHES_PER_READ,
    seen: int = 0,
) -> list[Batch]:
    """Batches beyond number *after* that may have a change not before the time *since*.

    *seen* is the number of a batch that is stored: a coordinator that lacks it is not asked.
    """
    binds: dict[str, str | int] = {
        "@changes": REGISTRY_CHANGES,
        "after": _key(after),
        "since": since,
        "limit": limit,
    }
    found = requests.query(queries.CHANGE_BATCHES, binds, Document, limit, document_id(seen))
    return [_batch(document) for document in found]


def read_changes(
    after: int, since: int, limit: int, requests: RetryingRequests
) -> tuple[RecordedChange, ...]:
    """Changes beyond position *after* and not before the time *since*, in order."""
    found: list[RecordedChange] = []
    last = max(after // _POSITIONS_PER_BATCH - 1, 0)
    while len(found) < limit:
        batches = read_batches(last, requests, since=since)
        found += [
            each
            for batch in batches
            for each in batch.recorded()
            if each.position > after and each.change.row.updated_at >= since
        ]
        if len(batches) < BATCHES_PER_READ:
            break
        last = batches[-1].number
    return tuple(found[:limit])


def end_of_batch(number: int) -> int:
    """No change of the batch has a later position, and none of the next an earlier one."""
    return (number + 1) * _POSITIONS_PER_BATCH - 1


def document_id(number: int) -> str:
    """Of a batch, for reads that must have seen it; empty for none."""
    return f"{REGISTRY_CHANGES}/{_key(number)}" if number else ""


def _batch(document: Document) -> Batch:
    try:
        changes = msgspec.convert(document.get("changes"), list[Document])
        return Batch(int(str(document["_key"])), tuple(map(change_from_document, changes)))
    except (msgspec.ValidationError, InvalidValueError) as error:
        what = f"has a damaged document {REGISTRY_CHANGES}/{document['_key']} ({error})"
        raise UnexpectedDocumentError(what, cure="restore it") from error


def _key(number: int) -> str:
    return f"{number:016d}"
