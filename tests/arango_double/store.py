"""
All databases, shared by all coordinators.
"""

import threading
from collections.abc import Callable
from typing import Any

from tests.arango_double.collection import Collection
from tests.arango_double.errors import ArangoError, collection_not_found
from tests.arango_double.indexes import attribute

_REVISION_ALPHABET = "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_REVISION_START = 0x6A5_0000_0000


class Database:
    """
    One database.

    Attributes:
        options: What it was created with: replicationFactor, writeConcern, sharding.
    """

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
        """
        As it is now.
        """
        twin = Database(self.name, int(self.id), self.options)
        twin.collections = {name: each.copy() for name, each in self.collections.items()}
        return twin


class Store:
    """
    What survives any coordinator.

    Attributes:
        lock: Held over each request as a whole: the first committer wins.

        busy: (database, collection, key) whose lock somebody else holds; a write to it is 409/1200.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.lock = threading.RLock()
        self.clock_offset_ms = 0
        self.databases: dict[str, Database] = {}
        self.busy: set[tuple[str, str, str]] = set()
        self._now_ms = now_ms
        self._numbers = 100
        self._revisions = _REVISION_START

    def __getitem__(self, name: str) -> Database:
        found = self.databases.get(name)
        if found is None:
            raise ArangoError(404, 1228, "database not found")
        return found

    def now_ms(self) -> int:
        """
        The servers' clock, epoch ms.
        """
        return self._now_ms() + self.clock_offset_ms

    def next_number(self) -> int:
        """
        A number that nothing here has had, for identifiers and generated keys.
        """
        self._numbers += 1
        return self._numbers

    def next_revision(self) -> str:
        """
        A `_rev` that nothing here has had. Opaque: its order means nothing.
        """
        self._revisions += 1
        rest, letters = self._revisions, ""
        while rest:
            rest, digit = divmod(rest, len(_REVISION_ALPHABET))
            letters = _REVISION_ALPHABET[digit] + letters
        return f"_{letters}---"

    def view(self) -> "Store":
        """
        As it is now, for coordinators that lag behind.
        """
        with self.lock:
            twin = Store(self.now_ms)
            twin.databases = {name: each.copy() for name, each in self.databases.items()}
        return twin

    def expire(self) -> list[str]:
        """
        What the TTL thread does from time to time: remove what has expired; the ids of it.
        """
        with self.lock:
            everything = [
                each
                for database in self.databases.values()
                for each in database.collections.values()
            ]
            return [gone for collection in everything for gone in self._expire(collection)]

    def _expire(self, collection: Collection) -> list[str]:
        now_s = self.now_ms() / 1000
        expired = [
            document
            for index in collection.indexes.values()
            if index.expire_after_s is not None
            for document in collection
            if isinstance(since := attribute(document, index.fields[0]), int | float)
            and since + index.expire_after_s < now_s
        ]
        for document in expired:
            collection.remove(document["_key"])
        return [str(document["_id"]) for document in expired]
