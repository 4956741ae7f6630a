"""The instrument registry in ArangoDB: the log of changes, and a document for each row."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.dense_log import DenseLog
from chimera_s1.adapters.arango.errors import RequestRejectedError, UnexpectedDocumentError
from chimera_s1.adapters.arango.layout import (
    REGISTRY,
    REGISTRY_CHANGES,
    REGISTRY_HELD,
    instrument_key,
)
from chimera_s1.adapters.arango.logged_rows import LoggedRows
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.held_rows import HeldRows
from chimera_s1.domain.instruments.instrument import RegistryChange, RegistryRow
from chimera_s1.domain.instruments.registry_document import (
    Document,
    change_document,
    change_from_document,
    row_document,
    row_from_document,
)
from chimera_s1.domain.ports.instrument_registry import (
    AppliedChanges,
    RecordedChange,
    RefusedChange,
)

CHANGES_LOG: Final = DenseLog(
    REGISTRY_CHANGES,
    batch_max=100,
    batches_per_read=10,
    encode=change_document,
    decode=change_from_document,
    time_of=lambda change: change.row.updated_at,
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


class ArangoInstrumentRegistry:
    """Implements `domain.ports.instrument_registry.InstrumentRegistry`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database
        self._logged = LoggedRows(
            database,
            CHANGES_LOG,
            _CURSOR,
            key_of=lambda change: change.row.instrument,
            select_newer=_newer_changes,
            put_rows=self._put_rows,
        )

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
        applied = await self._logged.apply(changes)
        refused = [RefusedChange(*each) for each in applied.refused.values()]
        return AppliedChanges(tuple(applied.logged), tuple(refused))

    async def mark_checked(self, instruments: Iterable[InstrumentId], checked_at: int) -> None:
        marks = [{"_key": instrument_key(each), "checked_at": checked_at} for each in instruments]
        for start in range(0, len(marks), ROWS_PER_REQUEST):
            some = marks[start : start + ROWS_PER_REQUEST]
            await self._database.run_projection(partial(_mark_checked, some))

    async def changes(
        self, *, after: int = 0, since: int = 0, limit: int = 1_000
    ) -> tuple[RecordedChange, ...]:
        work = partial(CHANGES_LOG.read, after, limit, since=since)
        found = await self._database.run_projection(work)
        return tuple(RecordedChange(*each) for each in found)

    async def last_position(self) -> int:
        return await self._logged.last_position()

    async def held(self, venue: Venue) -> tuple[HeldRows, ...]:
        return await self._database.run_projection(partial(_find_held, venue))

    async def hold(self, venue: Venue, held: Sequence[HeldRows]) -> None:
        document = {"_key": venue.value, "venue": venue.value, "held": msgspec.to_builtins(held)}
        write = Request(
            "post", f"/_api/document/{REGISTRY_HELD}", {"overwriteMode": "replace"}, document
        )
        await self._database.run_projection(lambda requests: requests.send(write))

    async def _put_rows(self, changes: Sequence[RegistryChange]) -> list[str]:
        reasons: list[str] = []
        for start in range(0, len(changes), ROWS_PER_REQUEST):
            some = [change.row for change in changes[start : start + ROWS_PER_REQUEST]]
            errors = await self._database.run_projection(partial(_put_rows, some))
            reasons += ["" if error is None else error.description for error in errors]
        return reasons


def _newer_changes(
    changes: Sequence[RegistryChange],
    without_row: Sequence[RegistryChange],
    must_have_seen: str,
    requests: RetryingRequests,
) -> tuple[RegistryChange, ...]:
    """Those of a version above the stored one."""
    keys = [instrument_key(change.row.instrument) for change in changes]
    stored = requests.find_documents(REGISTRY, keys, must_have_seen)
    versions = {each.row.instrument: each.row.version for each in without_row}
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
