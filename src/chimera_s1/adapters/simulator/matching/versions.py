"""Records with their earlier versions, so that a query may lag behind."""

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar


class Versioned(Protocol):
    """A frozen record; a later version has a later time of its last change."""

    @property
    def updated_ms(self) -> int: ...

    @property
    def is_open(self) -> bool: ...


Key = TypeVar("Key", bound=Hashable)
Record = TypeVar("Record", bound=Versioned)


class Versions(Generic[Key, Record]):
    """Every record ever stored, by key, in the order of the keys' first storing."""

    def __init__(self) -> None:
        self._versions: dict[Key, list[Record]] = {}
        self._open: dict[Key, Record] = {}

    def put(self, key: Key, record: Record) -> None:
        self._versions.setdefault(key, []).append(record)
        if record.is_open:
            self._open[key] = record
        else:
            self._open.pop(key, None)

    def current(self, key: Key) -> Record | None:
        versions = self._versions.get(key)
        return versions[-1] if versions else None

    def open(self) -> list[Record]:
        """The current versions of all open records."""
        return list(self._open.values())

    def all(self) -> list[Record]:
        """The current versions of all records."""
        return [versions[-1] for versions in self._versions.values()]

    def seen(self, at_ms: int | None) -> Iterator[Record]:
        """Each record as a query at *at_ms* sees it; None means as it is now."""
        for versions in self._versions.values():
            record = _seen(versions, at_ms)
            if record is not None:
                yield record

    def seen_open(self, at_ms: int | None) -> list[Record]:
        """As `seen`, but only the records that look open."""
        if at_ms is None:
            return self.open()
        return [record for record in self.seen(at_ms) if record.is_open]

    def seen_at(self, key: Key, at_ms: int | None) -> Record | None:
        """One record as a query at *at_ms* sees it; None if it does not see it."""
        return _seen(self._versions.get(key, []), at_ms)


def _seen(versions: list[Record], at_ms: int | None) -> Record | None:
    if at_ms is None:
        return versions[-1] if versions else None
    return next((each for each in reversed(versions) if each.updated_ms <= at_ms), None)
