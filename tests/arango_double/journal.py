"""
The requests that came in.
"""

from collections import Counter

from tests.arango_double.requests_in import Request


class Journal:
    """
    Counts requests, whatever became of them.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str, str]] = Counter()

    def note(self, request: Request) -> None:
        """
        Count one.
        """
        self._counts[request.coordinator, request.method, request.path] += 1

    def count(
        self, method: str | None = None, path: str = "/", coordinator: int | None = None
    ) -> int:
        """
        How many requests had this method, a path that begins so, and went to this coordinator.
        """
        return sum(
            count
            for (index, verb, place), count in self._counts.copy().items()
            if method in {None, verb} and place.startswith(path) and coordinator in {None, index}
        )

    def by_path(self) -> dict[str, int]:
        """
        Counts by method and path, over all coordinators.
        """
        counts: Counter[str] = Counter()
        for (_, method, path), count in self._counts.copy().items():
            counts[f"{method} {path}"] += count
        return dict(counts)

    def clear(self) -> None:
        """
        Count from zero.
        """
        self._counts.clear()
