"""
The stored documents, read and changed behind the API's back.
"""

import copy
from collections.abc import Mapping
from typing import Any

from tests.arango_double.errors import document_not_found
from tests.arango_double.indexes import Document
from tests.arango_double.store import Store


class StoredDocuments:
    """
    One collection; no `_rev` changes by itself, and no unique index protests.
    """

    def __init__(self, store: Store, database: str, collection: str) -> None:
        self._store = store
        with store.lock:
            self._collection = store[database][collection]

    def keys(self) -> list[str]:
        """
        In code point order.
        """
        with self._store.lock:
            return sorted(each["_key"] for each in self._collection)

    def all(self) -> list[Document]:
        """
        Copies, in the order of their keys.
        """
        with self._store.lock:
            return [self.get(key) for key in self.keys()]

    def get(self, key: str) -> Document:
        """
        A copy of one.

        Raises:
            ArangoError: 404/1202.
        """
        with self._store.lock:
            found = self._collection.find(key)
        if found is None:
            raise document_not_found()
        return copy.deepcopy(found)

    def put(self, key: str, content: Mapping[str, Any]) -> None:
        """
        Store *content* under *key*, as new or in place of what is there.
        """
        with self._store.lock:
            old = self._collection.find(key)
            self._put(key, content, self._store.next_revision() if old is None else old["_rev"])

    def edit(self, key: str, **changes: Any) -> None:
        """
        Give one other values for some attributes.
        """
        with self._store.lock:
            self.put(key, {**self.get(key), **changes})

    def delete(self, key: str) -> None:
        """
        Remove one.
        """
        with self._store.lock:
            self.get(key)
            self._collection.remove(key)

    def swap(self, key: str, other: str) -> None:
        """
        Exchange the contents of two; each key keeps its `_rev`.
        """
        with self._store.lock:
            first, second = self.get(key), self.get(other)
            self._collection.remove(key)
            self._collection.remove(other)
            self._put(key, second, first["_rev"])
            self._put(other, first, second["_rev"])

    def _put(self, key: str, content: Mapping[str, Any], revision: str) -> None:
        identity = {"_key": key, "_id": f"{self._collection.name}/{key}", "_rev": revision}
        self._collection.put_unchecked({**copy.deepcopy(dict(content)), **identity})
