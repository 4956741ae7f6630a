"""Reads and changes stored documents without the API, as damage or another program would."""

import copy
from collections.abc import Mapping
from typing import Any

from tests.arango_double.errors import document_not_found
from tests.arango_double.indexes import Document
from tests.arango_double.store import Store


class StoredDocuments:
    """One collection; a change keeps `_rev` and ignores unique indexes."""

    def __init__(self, store: Store, database: str, collection: str) -> None:
        self._store = store
        with store.lock:
            self._collection = store[database][collection]

    def keys(self) -> list[str]:
        """In code point order."""
        with self._store.lock:
            return sorted(each["_key"] for each in self._collection)

    def all(self) -> list[Document]:
        """Copies, in the order of their keys."""
        with self._store.lock:
            return [self.get(key) for key in self.keys()]

    def get(self, key: str) -> Document:
        """A copy.

        Raises:
            ArangoError: 404/1202.
        """
        with self._store.lock:
            found = self._collection.find(key)
        if found is None:
            raise document_not_found()
        return copy.deepcopy(found)

    def put(self, key: str, content: Mapping[str, Any]) -> None:
        """Store *content* under *key*, new or instead of the present document."""
        with self._store.lock:
            old = self._collection.find(key)
            revision = self._store.next_revision() if old is None else old["_rev"]
            identity = {"_key": key, "_id": f"{self._collection.name}/{key}", "_rev": revision}
            self._collection.put_unchecked({**copy.deepcopy(dict(content)), **identity})

    def delete(self, key: str) -> None:
        with self._store.lock:
            self.get(key)
            self._collection.remove(key)
