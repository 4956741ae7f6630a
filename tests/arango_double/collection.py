"""One collection: documents by key, and their entries in unique indexes."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from tests.arango_double.errors import not_unique
from tests.arango_double.indexes import Document, Entry, Index


class Collection:
    """Attributes:
    properties: As the server shows them.

    indexes: Secondary ones, by name.
    """

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties
        self.indexes: dict[str, Index] = {}
        self._documents: dict[str, Document] = {}
        self._owners: dict[str, dict[Entry, str]] = {}

    @property
    def name(self) -> str:
        return str(self.properties["name"])

    @property
    def wait_for_sync(self) -> bool:
        """Whether each write waits for the disk, so that it answers 201."""
        return bool(self.properties["waitForSync"])

    def __iter__(self) -> Iterator[Document]:
        """Newest first: without SORT a query may not rely on any order."""
        return reversed(self._documents.values())

    def find(self, key: str) -> Document | None:
        return self._documents.get(key)

    def put(self, document: Document) -> None:
        """Store *document*; it replaces one with the same key.

        Raises:
            ArangoError: 409/1210, another document has the same values in a unique index.
        """
        for name, owners in self._owners.items():
            _refuse_duplicate(self.indexes[name], owners, document, status=409)
        self.put_unchecked(document)

    def put_unchecked(self, document: Document) -> None:
        """Store *document* without a check of unique indexes."""
        key = document["_key"]
        self._forget_entries(key)
        self._documents[key] = document
        for name, owners in self._owners.items():
            for entry in self.indexes[name].entries(document):
                owners.setdefault(entry, key)

    def remove(self, key: str) -> None:
        self._forget_entries(key)
        self._documents.pop(key, None)

    def clear(self) -> None:
        self._documents.clear()
        for owners in self._owners.values():
            owners.clear()

    def add_index(self, index: Index) -> None:
        """Raises: ArangoError: 400/1210, two documents have the same values in a unique index."""
        if index.unique:
            owners: dict[Entry, str] = {}
            for key, document in self._documents.items():
                _refuse_duplicate(index, owners, document, status=400)
                owners |= dict.fromkeys(index.entries(document), key)
            self._owners[index.name] = owners
        self.indexes[index.name] = index

    def copy(self) -> "Collection":
        copied = Collection(copy.deepcopy(self.properties))
        copied.indexes = dict(self.indexes)
        copied._documents = dict(self._documents)
        copied._owners = {name: dict(owners) for name, owners in self._owners.items()}
        return copied

    def _forget_entries(self, key: str) -> None:
        document = self._documents.get(key)
        if document is None:
            return
        for name, owners in self._owners.items():
            for entry in self.indexes[name].entries(document):
                if owners.get(entry) == key:
                    del owners[entry]


def _refuse_duplicate(
    index: Index, owners: Mapping[Entry, str], document: Document, status: int
) -> None:
    for entry in index.entries(document):
        owner = owners.get(entry)
        if owner is not None and owner != document["_key"]:
            raise not_unique(index.name, "persistent", ", ".join(index.fields), owner, status)
