"""Cursors in ArangoDB."""

from functools import partial

from msgspec import Struct

from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.errors import RequestRejectedError
from chimera_s1.adapters.arango.layout import CURSORS, document_key
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests

_KEEP_LATER = {"overwriteMode": "replace", "versionAttribute": "position"}


class _Cursor(Struct, frozen=True):
    position: int


class ArangoCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`."""

    def __init__(self, arango: ArangoDatabase) -> None:
        """Args: arango: Open for as long as this is used."""
        self._arango = arango

    async def read(self, name: str) -> int:
        """The last place that *name* is done with."""
        return await self._arango.run_projection(partial(_find_seq, name))

    async def advance(self, name: str, seq: int) -> None:
        """Remember *seq*, unless a later one is there."""
        document = {"_key": document_key(name), "name": name, "position": seq}
        asked = Request("post", f"/_api/document/{CURSORS}", _KEEP_LATER, document)
        await self._arango.run_projection(lambda errand: errand.send(asked))

    async def rewind(self, name: str) -> None:
        """Begin anew."""
        await self._arango.run_projection(partial(_delete_cursor, name))


def _find_seq(name: str, requests: RetryingRequests) -> int:
    found = requests.find_document(CURSORS, document_key(name), _Cursor)
    return 0 if found is None else found.position


def _delete_cursor(name: str, requests: RetryingRequests) -> None:
    try:
        requests.send(Request("delete", f"/_api/document/{CURSORS}/{document_key(name)}"))
    except RequestRejectedError as refusal:
        if not refusal.document_missing:
            raise
