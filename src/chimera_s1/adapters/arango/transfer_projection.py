"""`treasury_transfers` in ArangoDB: a document a row."""

from collections.abc import Sequence
from functools import partial

import msgspec

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Request, if_match
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.layout import TRANSFERS, document_key, transfer_sort_key
from chimera_s1.adapters.arango.retrying_requests import BindValue, RetryingRequests
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.transfer_projection import PageMark, TransferRow

_KEEP_NEWER = {"overwriteMode": "replace", "versionAttribute": "applied_seq"}
_SORT_KEY_MAX = "g"
"""Before this is every place: they are made of the digits 0 to f."""


class ArangoTransferProjection:
    """Implements `domain.ports.transfer_projection.TransferProjection`."""

    def __init__(self, arango: ArangoDatabase) -> None:
        """Args: arango: Open for as long as this is used."""
        self._arango = arango

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        """Write each row, unless a newer one is there."""
        if rows:
            await self._arango.run_projection(partial(_put_rows, [_document(row) for row in rows]))

    async def get(self, transfer_id: str) -> TransferRow | None:
        """One row."""
        return await self._arango.run_projection(partial(_find_row, transfer_id))

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        """Rows by `created_at`, then transfer id, both descending."""
        mark = (
            _SORT_KEY_MAX
            if before is None
            else transfer_sort_key(before.created_at, before.transfer_id)
        )
        binds: dict[str, BindValue] = {"@transfers": TRANSFERS, "before": mark, "limit": limit}
        if status is None:
            return await self._arango.run_projection(
                partial(_select, queries.NEWEST_TRANSFERS, binds)
            )
        binds["status"] = status
        return await self._arango.run_projection(
            partial(_select, queries.NEWEST_TRANSFERS_OF_STATUS, binds)
        )

    async def clear(self) -> None:
        """Remove every row."""
        asked = Request("put", f"/_api/collection/{TRANSFERS}/truncate")
        await self._arango.run_projection(lambda errand: errand.send(asked))


def _put_rows(documents: Sequence[Document], requests: RetryingRequests) -> None:
    asked = Request("post", f"/_api/document/{TRANSFERS}", _KEEP_NEWER, documents)
    for document, result in zip(
        documents, requests.write_documents(asked, len(documents)), strict=True
    ):
        # ArangoDB takes a document of the same version for an older one, and we for another text
        # of the same: a later program may say it better.
        if result.get("_oldRev") == result["_rev"]:
            _replace_same_seq(document, requests)


def _replace_same_seq(document: Document, requests: RetryingRequests) -> None:
    key = str(document["_key"])
    while (stored := requests.find_document(TRANSFERS, key, Document)) is not None:
        same = {**stored, **document} == stored
        if same or stored["applied_seq"] != document["applied_seq"]:
            return
        revision = if_match(str(stored["_rev"]))
        path = f"/_api/document/{TRANSFERS}/{key}"
        if requests.try_write(Request("put", path, body=document, headers=revision)):
            return


def _find_row(transfer_id: str, requests: RetryingRequests) -> TransferRow | None:
    return requests.find_document(TRANSFERS, document_key(transfer_id), TransferRow)


def _select(
    query: str, binds: dict[str, BindValue], requests: RetryingRequests
) -> tuple[TransferRow, ...]:
    return tuple(requests.query(query, binds, TransferRow, int(binds["limit"])))


def _document(row: TransferRow) -> Document:
    document: Document = msgspec.to_builtins(row)
    key, place = document_key(row.transfer_id), transfer_sort_key(row.created_at, row.transfer_id)
    return {**document, "_key": key, "place": place}
