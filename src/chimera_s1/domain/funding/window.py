"""A part of the history, by time."""

from typing import NamedTuple


class Window(NamedTuple):
    """Both times included, epoch ms."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many ms."""
        return self.end - self.start + 1

    def contains(self, time: int) -> bool:
        return self.start <= time <= self.end
