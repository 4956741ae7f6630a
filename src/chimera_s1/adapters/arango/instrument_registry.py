"""The instrument registry in ArangoDB: the log of changes, and a document for each row.

The change comes first. A cursor says up to which batch the rows are written, so after a crash
between the two the next writer of any instance writes them.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, assert_never

import msgspec
from msgspec import Struct, field

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.errors import RequestRejectedError, UnexpectedDocumentError
from chimera_s1.adapters.arango.layout import REGISTRY, REGISTRY_HELD, instrument_key
from chimera_s1.adapters.arango.registry_log import (
    BATCH_MAX,
    Batch,
    BatchAppended,
    BatchRefused,
    NumberTaken,
    append_batch,
    document_id,
    end_of_batch,
    read_batches,
    read_changes,
)
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange, RegistryRow
from chimera_s1.domain.instruments.registry_document import (
    Document,
    row_document,
    row_from_document,
)
from chimera_s1.domain.ports.instrument_registry import (
    AppliedChanges,
    RecordedChange,
    RefusedChange,
)

ROWS_PER_REQUEST: Final = 500
_CURSOR = "instrument_registry"
_KEEP_NEWER = {
    "overwriteMode": "update",
    "versionAttribute": "version",
    "keepNull": "1",
    "mergeObjects": "0",
}
_KEEP_LATEST = {"versionAttribute": "checked_at", "keepNull": "1", "mergeObjects": "0"}


class _Held(Struct, frozen=True):
    held: tuple[HeldRows, ...] = ()


class _Tally(Struct):
    """What one call of `apply` has done so far."""

    written: list[RegistryChange] = field(default_factory=list)
    refused: dict[InstrumentId, RefusedChange] = field(default_factory=dict)

    def refuse(self, change: RegistryChange, reason: str) -> None:
        self.refused[change.row.instrument] = RefusedChange(change, reason)


class ArangoInstrumentRegistry:
    """Implements `domain.ports.instrument_registry.InstrumentRegistry`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database
        self._cursors = ArangoCursorStore(database)
        # Changes in the log whose rows were refused: without a row they would be logged each time.
        self._without_row: dict[InstrumentId, RegistryChange] = {}
        # The newest batch that is known to be stored.
        self._seen = 0

    async def rows(self, venue: Venue | None = None) -> tuple[RegistryRow, ...]:
        venues = sorted(Venue) if venue is None else [venue]
        found = [
            row
            for each in venues
            for row in await self._database.run_projection(partial(_select_rows, each))
        ]
        return tuple(sorted(found, key=lambda row: row.instrument))

    async def find(self, instrument: InstrumentId) -> RegistryRow | None:
        return await self._database.run_projection(partial(_find_row, instrument))

    async def apply(self, changes: Sequence[RegistryChange]) -> AppliedChanges:
        tally = _Tally()
        newest = await self._write_missing_rows(tally, await self._cursors.read(_CURSOR))
        await self._retry_refused_rows(tally)
        pending = [changes[n : n + BATCH_MAX] for n in range(0, len(changes), BATCH_MAX)][::-1]
        while pending:
            some = pending.pop()
            newer = await self._database.run_projection(
                partial(_newer_changes, some, self._without_row, self._seen)
            )
            if not newer:
                continue
            batch = Batch(newest + 1, newer)
            match await self._database.run_projection(partial(append_batch, batch)):
                case BatchAppended():
                    tally.written += newer
                    newest = await self._write_rows([batch], tally)
                case NumberTaken():
                    self._seen = batch.number
                    newest = await self._write_missing_rows(tally, newest)
                    pending.append(some)
                case BatchRefused(reason=reason) if len(newer) == 1:
                    tally.refuse(newer[0], reason)
                case BatchRefused():
                    half = len(newer) // 2
                    pending += [newer[half:], newer[:half]]
                case unreachable:
                    assert_never(unreachable)
        return AppliedChanges(tuple(tally.written), tuple(tally.refused.values()))

    async def mark_checked(self, instruments: Iterable[InstrumentId], checked_at: int) -> None:
        marks = [{"_key": instrument_key(each), "checked_at": checked_at} for each in instruments]
        for start in range(0, len(marks), ROWS_PER_REQUEST):
            some = marks[start : start + ROWS_PER_REQUEST]
            await self._database.run_projection(partial(_mark_checked, some))

    async def changes(
        self, *, after: int = 0, since: int = 0, limit: int = 1_000
    ) -> tuple[RecordedChange, ...]:
        return await self._database.run_projection(partial(read_changes, after, since, limit))

    async def last_position(self) -> int:
        number = await self._cursors.read(_CURSOR)
        return end_of_batch(number) if number else 0

    async def held(self, venue: Venue) -> tuple[HeldRows, ...]:
        return await self._database.run_projection(partial(_find_held, venue))

    async def hold(self, venue: Venue, held: Sequence[HeldRows]) -> None:
        document = {"_key": venue.value, "venue": venue.value, "held": msgspec.to_builtins(held)}
        write = Request(
            "post", f"/_api/document/{REGISTRY_HELD}", {"overwriteMode": "replace"}, document
        )
        await self._database.run_projection(lambda requests: requests.send(write))

    async def _write_missing_rows(self, tally: _Tally, after: int) -> int:
        """Write the rows of the batches beyond *after*; returns the newest batch's number."""
        while batches := await self._database.run_projection(
            partial(read_batches, after, seen=self._seen)
        ):
            after = await self._write_rows(batches, tally)
        return after

    async def _write_rows(self, batches: Sequence[Batch], tally: _Tally) -> int:
        newest = {change.row.instrument: change for batch in batches for change in batch.changes}
        await self._put_rows(list(newest.values()), tally)
        number = batches[-1].number
        self._seen = max(self._seen, number)
        await self._cursors.advance(_CURSOR, number)
        return number

    async def _retry_refused_rows(self, tally: _Tally) -> None:
        await self._put_rows(list(self._without_row.values()), tally)

    async def _put_rows(self, changes: Sequence[RegistryChange], tally: _Tally) -> None:
        for start in range(0, len(changes), ROWS_PER_REQUEST):
            some = changes[start : start + ROWS_PER_REQUEST]
            errors = await self._database.run_projection(
                partial(_put_rows, [change.row for change in some])
            )
            for change, error in zip(some, errors, strict=True):
                if error is None:
                    self._without_row.pop(change.row.instrument, None)
                else:
                    self._without_row[change.row.instrument] = change
                    tally.refuse(change, error.description)


def _newer_changes(
    changes: Sequence[RegistryChange],
    without_row: dict[InstrumentId, RegistryChange],
    seen: int,
    requests: RetryingRequests,
) -> tuple[RegistryChange, ...]:
    """Those of a version above the stored one, which is that of batch *seen* or later."""
    keys = [instrument_key(change.row.instrument) for change in changes]
    stored = requests.find_documents(REGISTRY, keys, document_id(seen))
    versions = {each.row.instrument: each.row.version for each in without_row.values()}
    newer: list[RegistryChange] = []
    for change, document in zip(changes, stored, strict=True):
        instrument, version = change.row.instrument, change.row.version
        known = 0 if document is None else int(str(document.get("version", 0)))
        if version > max(known, versions.get(instrument, 0)):
            versions[instrument] = version
            newer.append(change)
    return tuple(newer)


def _put_rows(
    rows: Sequence[RegistryRow], requests: RetryingRequests
) -> list[RequestRejectedError | None]:
    documents = [{**row_document(row), "_key": instrument_key(row.instrument)} for row in rows]
    # Separately, because a newer version may have been read earlier than the stored one.
    marks = [{"_key": each["_key"], "checked_at": each.pop("checked_at")} for each in documents]
    write = Request("post", f"/_api/document/{REGISTRY}", _KEEP_NEWER, documents)
    errors = requests.write_each(write, len(documents))
    _mark_checked(marks, requests)
    return errors


def _mark_checked(marks: Sequence[Document], requests: RetryingRequests) -> None:
    """A row that does not exist is not marked."""
    write = Request("patch", f"/_api/document/{REGISTRY}", _KEEP_LATEST, marks)
    requests.write_each(write, len(marks))


def _select_rows(venue: Venue, requests: RetryingRequests) -> list[RegistryRow]:
    binds: dict[str, str | int] = {"@registry": REGISTRY, "venue": venue.value}
    found = requests.query(queries.REGISTRY_ROWS, binds, Document, ROWS_PER_REQUEST)
    return [_row(document) for document in found]


def _find_row(instrument: InstrumentId, requests: RetryingRequests) -> RegistryRow | None:
    document = requests.find_document(REGISTRY, instrument_key(instrument), Document)
    return None if document is None else _row(document)


def _find_held(venue: Venue, requests: RetryingRequests) -> tuple[HeldRows, ...]:
    found = requests.find_document(REGISTRY_HELD, venue.value, _Held)
    return () if found is None else found.held


def _row(document: Document) -> RegistryRow:
    try:
        # A crash may have come between a new row and its mark.
        return row_from_document({"checked_at": document.get("updated_at"), **document})
    except InvalidValueError as error:
        raise UnexpectedDocumentError(
            f"has a damaged document in {REGISTRY} ({error})",
            cure="restore it, or delete it: the next sync writes it again",
        ) from error
