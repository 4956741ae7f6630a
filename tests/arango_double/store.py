"""All databases, shared by all coordinators."""

import threading
from typing import Any

from tests.arango_double.collection import Collection
from tests.arango_double.errors import ArangoError, collection_not_found

_REVISION_ALPHABET = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_REVISION_START = 0x6A5_0000_0000


class Database:
    """Attributes: options: Given at its creation: replicationFactor, writeConcern, sharding."""

    def __init__(self, name: str, number: int, options: dict[str, Any]) -> None:
        self.name = name
        self.id = str(number)
        self.options = options
        self.collections: dict[str, Collection] = {}

    def __getitem__(self, name: str) -> Collection:
        found = self.collections.get(name)
        if found is None:
            raise collection_not_found(name)
        return found

    def copy(self) -> "Database":
        copied = Database(self.name, int(self.id), self.options)
        copied.collections = {name: each.copy() for name, each in self.collections.items()}
        return copied


class Store:
    """Attributes:
    lock: Held for each whole request, so the first writer wins.

    locked_keys: (database, collection, key); a write to one of them is answered with 409/1200.

    refused_keys: Likewise, with 400/1620, as where a schema of the collection refuses the document.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.databases: dict[str, Database] = {}
        self.locked_keys: set[tuple[str, str, str]] = set()
        self.refused_keys: set[tuple[str, str, str]] = set()
        self._last_number = 100
        self._last_revision = _REVISION_START

    def __getitem__(self, name: str) -> Database:
        found = self.databases.get(name)
        if found is None:
            raise ArangoError(404, 1228, "database not found")
        return found

    def next_number(self) -> int:
        """An unused number, for ids and generated keys."""
        self._last_number += 1
        return self._last_number

    def next_revision(self) -> str:
        """An unused `_rev`. It is opaque: its order means nothing."""
        self._last_revision += 1
        rest, letters = self._last_revision, ""
        while rest:
            rest, digit = divmod(rest, len(_REVISION_ALPHABET))
            letters = _REVISION_ALPHABET[digit] + letters
        return f"_{letters}---"

    def snapshot(self) -> "Store":
        """A copy for stale reads."""
        with self.lock:
            copied = Store()
            copied.databases = {name: each.copy() for name, each in self.databases.items()}
        return copied
