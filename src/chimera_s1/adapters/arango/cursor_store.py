"""Cursors in ArangoDB."""

from functools import partial

from msgspec import Struct

from chimera_s1.adapters.arango.coordinator import Asked
from chimera_s1.adapters.arango.database import Arango
from chimera_s1.adapters.arango.errors import RefusedError
from chimera_s1.adapters.arango.layout import CURSORS, key_of
from chimera_s1.adapters.arango.retrying_requests import Errand

_UNLESS_LATER = {"overwriteMode": "replace", "versionAttribute": "position"}


class _Cursor(Struct, frozen=True):
    position: int


class ArangoCursorStore:
    """Implements `domain.ports.cursor_store.CursorStore`."""

    def __init__(self, arango: Arango) -> None:
        """Args: arango: Open for as long as this is used."""
        self._arango = arango

    async def position(self, name: str) -> int:
        """The last place that *name* is done with."""
        return await self._arango.project(partial(_position, name))

    async def advance(self, name: str, position: int) -> None:
        """Remember *position*, unless a later one is there."""
        document = {"_key": key_of(name), "name": name, "position": position}
        asked = Asked("post", f"/_api/document/{CURSORS}", _UNLESS_LATER, document)
        await self._arango.project(lambda errand: errand.ask(asked))

    async def rewind(self, name: str) -> None:
        """Begin anew."""
        await self._arango.project(partial(_rewind, name))


def _position(name: str, errand: Errand) -> int:
    found = errand.find(CURSORS, key_of(name), _Cursor)
    return 0 if found is None else found.position


def _rewind(name: str, errand: Errand) -> None:
    try:
        errand.ask(Asked("delete", f"/_api/document/{CURSORS}/{key_of(name)}"))
    except RefusedError as refusal:
        if not refusal.no_document:
            raise
