"""Cursors in ArangoDB."""

from functools import partial

from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import Request
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.errors import RequestRejectedError
from chimera_s1.adapters.arango.layout import CURSORS, document_key
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests

_KEEP_HIGHEST = {"overwriteMode": "replace", "versionAttribute": "position"}


class _Cursor(Struct, frozen=True):
    seq: int = field(name="position")


class ArangoCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`."""

    def __init__(self, database: ArangoDatabase) -> None:
        self._database = database

    async def read(self, name: str) -> int:
        return await self._database.run_projection(partial(_find_seq, name))

    async def advance(self, name: str, seq: int) -> None:
        document = {"_key": document_key(name), "name": name, "position": seq}
        write = Request("post", f"/_api/document/{CURSORS}", _KEEP_HIGHEST, document)
        await self._database.run_projection(lambda requests: requests.send(write))

    async def rewind(self, name: str) -> None:
        await self._database.run_projection(partial(_delete_cursor, name))


def _find_seq(name: str, requests: RetryingRequests) -> int:
    cursor = requests.find_document(CURSORS, document_key(name), _Cursor)
    return 0 if cursor is None else cursor.seq


def _delete_cursor(name: str, requests: RetryingRequests) -> None:
    try:
        requests.send(Request("delete", f"/_api/document/{CURSORS}/{document_key(name)}"))
    except RequestRejectedError as error:
        if not error.document_missing:
            raise
