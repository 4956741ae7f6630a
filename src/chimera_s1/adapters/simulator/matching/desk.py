"""What the parts that move the books need of a desk."""

from typing import Protocol


class Desk(Protocol):
    def advance(self) -> None:
        """Match and trigger what the books of now, and those since the last call, allow."""
        ...

    def watched_symbols(self) -> frozenset[str]:
        """The symbols whose books must move, because orders wait for it."""
        ...
