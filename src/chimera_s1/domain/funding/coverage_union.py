"""How the proven part of a history grows."""

from typing import NamedTuple


class Span(NamedTuple):
    """Both times included, epoch ms."""

    start: int
    end: int


def extend_span(stored: Span | None, found: Span) -> Span:
    """The union where both join, that is overlap or are adjacent; else the one that ends later."""
    if stored is None:
        return found
    if found.start <= stored.end + 1 and stored.start <= found.end + 1:
        return Span(min(stored.start, found.start), max(stored.end, found.end))
    return max(stored, found, key=lambda span: span.end)
