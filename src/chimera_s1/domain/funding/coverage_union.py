"""How the proven part of a history grows."""

from typing import NamedTuple


class Span(NamedTuple):
    """Both times included, epoch ms."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start + 1


def extend_span(stored: Span | None, found: Span) -> Span:
    """The union where both join, that is overlap or are adjacent; else the one that ends later."""
    if stored is None:
        return found
    if _join(stored, found):
        return Span(min(stored.start, found.start), max(stored.end, found.end))
    return max(stored, found, key=lambda span: span.end)


def is_progress(stored: Span | None, found: Span) -> bool:
    """Whether to store *found*: a short read must not discard the proof of a long one."""
    if stored is None or _join(stored, found):
        return extend_span(stored, found) != stored
    return found.length > stored.length


def _join(one: Span, other: Span) -> bool:
    return one.start <= other.end + 1 and other.start <= one.end + 1
