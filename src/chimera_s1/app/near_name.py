"""The name that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def near_name(name: str, known: Iterable[str]) -> str | None:
    """The one of *known* that resembles *name* most; None if none does."""
    return next(iter(get_close_matches(name, known, n=1)), None)
