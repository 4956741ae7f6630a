"""`treasury_transfers` in ArangoDB: a document a row."""

from collections.abc import Sequence
from functools import partial

import msgspec

from chimera_s1.adapters.arango import queries
from chimera_s1.adapters.arango.coordinator import Asked, if_still
from chimera_s1.adapters.arango.database import Arango
from chimera_s1.adapters.arango.layout import TRANSFERS, key_of, place_of
from chimera_s1.adapters.arango.retrying_requests import BindValue, Errand
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.ports.transfer_projection import PageMark, TransferRow

_UNLESS_NEWER = {"overwriteMode": "replace", "versionAttribute": "applied_seq"}
_END_OF_TIME = "g"
"""Before this is every place: they are made of the digits 0 to f."""


class ArangoTransferProjection:
    """Implements `domain.ports.transfer_projection.TransferProjection`."""

    def __init__(self, arango: Arango) -> None:
        """Args: arango: Open for as long as this is used."""
        self._arango = arango

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        """Write each row, unless a newer one is there."""
        if rows:
            await self._arango.project(partial(_put, [_document(row) for row in rows]))

    async def get(self, transfer_id: str) -> TransferRow | None:
        """One row."""
        return await self._arango.project(partial(_get, transfer_id))

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        """Rows by `created_at`, then transfer id, both descending."""
        mark = _END_OF_TIME if before is None else place_of(before.created_at, before.transfer_id)
        binds: dict[str, BindValue] = {"@transfers": TRANSFERS, "before": mark, "limit": limit}
        if status is None:
            return await self._arango.project(partial(_select, queries.NEWEST_TRANSFERS, binds))
        binds["status"] = status
        return await self._arango.project(
            partial(_select, queries.NEWEST_TRANSFERS_OF_STATUS, binds)
        )

    async def clear(self) -> None:
        """Remove every row."""
        asked = Asked("put", f"/_api/collection/{TRANSFERS}/truncate")
        await self._arango.project(lambda errand: errand.ask(asked))


def _put(documents: Sequence[Document], errand: Errand) -> None:
    asked = Asked("post", f"/_api/document/{TRANSFERS}", _UNLESS_NEWER, documents)
    for document, said in zip(documents, errand.write_many(asked, len(documents)), strict=True):
        # ArangoDB takes a document of the same version for an older one, and we for another text
        # of the same: a later program may say it better.
        if said.get("_oldRev") == said["_rev"]:
            _put_of_same_place(document, errand)


def _put_of_same_place(document: Document, errand: Errand) -> None:
    key = str(document["_key"])
    while (there := errand.find(TRANSFERS, key, Document)) is not None:
        same = {**there, **document} == there
        if same or there["applied_seq"] != document["applied_seq"]:
            return
        revision = if_still(str(there["_rev"]))
        path = f"/_api/document/{TRANSFERS}/{key}"
        if errand.win(Asked("put", path, body=document, headers=revision)):
            return


def _get(transfer_id: str, errand: Errand) -> TransferRow | None:
    return errand.find(TRANSFERS, key_of(transfer_id), TransferRow)


def _select(query: str, binds: dict[str, BindValue], errand: Errand) -> tuple[TransferRow, ...]:
    return tuple(errand.query(query, binds, TransferRow, int(binds["limit"])))


def _document(row: TransferRow) -> Document:
    document: Document = msgspec.to_builtins(row)
    key, place = key_of(row.transfer_id), place_of(row.created_at, row.transfer_id)
    return {**document, "_key": key, "place": place}
