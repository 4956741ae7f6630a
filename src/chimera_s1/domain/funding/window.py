"""A part of the history, by time."""

from typing import NamedTuple


class Window(NamedTuple):
    """Both times included, epoch ms."""

    start: int
    end: int

    def contains(self, time: int) -> bool:
        return self.start <= time <= self.end
