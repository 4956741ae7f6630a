"""How the proven part of a history grows."""

from chimera_s1.domain.funding.window import Window


def extend_span(stored: Window | None, found: Window) -> Window:
    """The union where both join, that is overlap or are adjacent; else the one that ends later."""
    if stored is None:
        return found
    if _join(stored, found):
        return Window(min(stored.start, found.start), max(stored.end, found.end))
    return max(stored, found, key=lambda span: span.end)


def is_progress(stored: Window | None, found: Window, kept_from: int = 0) -> bool:
    """Whether to store *found*: a short read must not discard the proof of a long one. What is
    before *kept_from* counts for nothing.
    """
    if stored is None or _join(stored, found):
        return extend_span(stored, found) != stored
    return _kept(found, kept_from) > _kept(stored, kept_from)


def _kept(span: Window, kept_from: int) -> int:
    return max(0, span.end - max(span.start, kept_from) + 1)


def _join(one: Window, other: Window) -> bool:
    return one.start <= other.end + 1 and other.start <= one.end + 1
