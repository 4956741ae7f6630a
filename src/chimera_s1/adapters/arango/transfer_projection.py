"""`treasury_transfers` in ArangoDB: one document per row."""

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
# Sort keys have only digits and a to f, so all of them are lower.
_SORT_KEY_MAX = "g"


class ArangoTransferProjection:
    """Implements `domain.ports.transfer_projection.TransferProjection`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        if rows:
            documents = [_document(row) for row in rows]
            await self._database.run_projection(partial(_put_documents, documents))

    async def get(self, transfer_id: str) -> TransferRow | None:
        return await self._database.run_projection(partial(_find_row, transfer_id))

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        binds: dict[str, BindValue] = {
            "@transfers": TRANSFERS,
            "before": _sort_key_bound(before),
            "limit": limit,
        }
        if status is None:
            query = queries.NEWEST_TRANSFERS
        else:
            query = queries.NEWEST_TRANSFERS_OF_STATUS
            binds["status"] = status
        return await self._database.run_projection(partial(_select, query, binds, limit))

    async def clear(self) -> None:
        truncate = Request("put", f"/_api/collection/{TRANSFERS}/truncate")
        await self._database.run_projection(lambda requests: requests.send(truncate))


def _put_documents(documents: Sequence[Document], requests: RetryingRequests) -> None:
    write = Request("post", f"/_api/document/{TRANSFERS}", _KEEP_NEWER, documents)
    results = requests.write_documents(write, len(documents))
    for document, result in zip(documents, results, strict=True):
        # ArangoDB leaves a document of the same version unchanged. A later program may write
        # another text for the same seq, so that case is handled here.
        if result.get("_oldRev") == result["_rev"]:
            _replace_same_seq(document, requests)


def _replace_same_seq(document: Document, requests: RetryingRequests) -> None:
    key = str(document["_key"])
    while (stored := requests.find_document(TRANSFERS, key, Document)) is not None:
        unchanged = {**stored, **document} == stored
        if unchanged or stored["applied_seq"] != document["applied_seq"]:
            return
        revision = if_match(str(stored["_rev"]))
        path = f"/_api/document/{TRANSFERS}/{key}"
        write = Request("put", path, body=document, headers=revision)
        if requests.try_write(write) is not None:
            return


def _find_row(transfer_id: str, requests: RetryingRequests) -> TransferRow | None:
    return requests.find_document(TRANSFERS, document_key(transfer_id), TransferRow)


def _select(
    query: str, binds: dict[str, BindValue], batch_size: int, requests: RetryingRequests
) -> tuple[TransferRow, ...]:
    return tuple(requests.query(query, binds, TransferRow, batch_size))


def _document(row: TransferRow) -> Document:
    document: Document = msgspec.to_builtins(row)
    return {
        **document,
        "_key": document_key(row.transfer_id),
        "place": transfer_sort_key(row.created_at, row.transfer_id),
    }


def _sort_key_bound(before: PageMark | None) -> str:
    if before is None:
        return _SORT_KEY_MAX
    return transfer_sort_key(before.created_at, before.transfer_id)
