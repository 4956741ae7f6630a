"""
One collection: its documents, its unique indexes, and a side door for tests.
"""

import copy
from collections.abc import Iterator
from typing import Any

from tests.arango_double.errors import ArangoError, not_unique
from tests.arango_double.indexes import Document, Entry, Index


class Collection:
    """
    Documents by key.

    Attributes:
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
        """
        As in every path.
        """
        return str(self.properties["name"])

    @property
    def wait_for_sync(self) -> bool:
        """
        Whether each write waits for the disk, so that it answers 201.
        """
        return bool(self.properties["waitForSync"])

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[Document]:
        """
        All documents, newest first: without SORT no order may be relied on.
        """
        return reversed(self._documents.values())

    def find(self, key: str) -> Document | None:
        """
        The document of *key*.
        """
        return self._documents.get(key)

    def put(self, document: Document) -> None:
        """
        Store *document*, in place of one with the same key.

        Raises:
            ArangoError: 409/1210, another document has its values in a unique index.
        """
        for index in self.indexes.values():
            if index.unique:
                self._check(index, document, status=409)
        self.put_unchecked(document)

    def put_unchecked(self, document: Document) -> None:
        """
        Store *document* whatever the unique indexes say.
        """
        self.remove(document["_key"], keep_place=True)
        self._documents[document["_key"]] = document
        for name, owners in self._owners.items():
            for entry in self.indexes[name].entries(document):
                owners.setdefault(entry, document["_key"])

    def remove(self, key: str, *, keep_place: bool = False) -> None:
        """
        Forget the document of *key*, if there is one.
        """
        document = self._documents.get(key)
        if document is None:
            return
        for name, owners in self._owners.items():
            for entry in self.indexes[name].entries(document):
                if owners.get(entry) == key:
                    del owners[entry]
        if not keep_place:
            del self._documents[key]

    def clear(self) -> None:
        """
        Forget all documents.
        """
        self._documents.clear()
        for owners in self._owners.values():
            owners.clear()

    def add_index(self, index: Index) -> None:
        """
        Add *index*.

        Raises:
            ArangoError: 400/1210, two documents have the same values in it.
        """
        if index.unique:
            owners: dict[Entry, str] = {}
            self._owners[index.name] = owners
            self.indexes[index.name] = index
            try:
                for document in self._documents.values():
                    self._check(index, document, status=400)
                    owners |= dict.fromkeys(index.entries(document), str(document["_key"]))
            except ArangoError:
                self.drop_index(index)
                raise
        self.indexes[index.name] = index

    def drop_index(self, index: Index) -> None:
        """
        Forget *index*.
        """
        del self.indexes[index.name]
        self._owners.pop(index.name, None)

    def copy(self) -> "Collection":
        """
        As it is now; later changes of the one are not seen in the other.
        """
        twin = Collection(copy.deepcopy(self.properties))
        twin.indexes = dict(self.indexes)
        twin._documents = dict(self._documents)
        twin._owners = {name: dict(owners) for name, owners in self._owners.items()}
        return twin

    def _check(self, index: Index, document: Document, status: int) -> None:
        owners = self._owners[index.name]
        for entry in index.entries(document):
            owner = owners.get(entry)
            if owner is not None and owner != document["_key"]:
                fields = ", ".join(index.fields)
                raise not_unique(index.name, index.kind, fields, owner, status)
