"""Port: a place that keeps dead letters."""

from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.operations.dead_letter import DeadLetter


class StoredLetter(Struct, frozen=True):
    """*letter_id* is the place's own, and ordered by arrival."""

    letter_id: str
    letter: DeadLetter


class AddedLetter(Struct, frozen=True):
    """*dropped*: how many of the oldest letters the new one has pushed out."""

    letter_id: str
    dropped: int = 0


class DeadLetters(Protocol):
    """A bounded list; a full one drops its oldest letter for a new one.

    Each call raises `PublisherUnavailableError`, `StoreUnavailableError`, `LedgerDamagedError` or
    `ConfigurationError` if the place cannot be used; a letter whose `add` failed may be there.
    """

    async def add(self, letter: DeadLetter) -> AddedLetter: ...

    async def page(self, *, after: str = "", limit: int = 100) -> tuple[StoredLetter, ...]:
        """Letters that arrived after *after*, in order; from the oldest one if it is empty."""
        ...

    async def find(self, letter_id: str) -> StoredLetter | None:
        """None also for text that is no id of this place."""
        ...

    async def remove(self, letter_id: str) -> bool:
        """Whether it was there."""
        ...

    async def count(self) -> int: ...
