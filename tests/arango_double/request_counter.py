"""Counts the requests that arrived, including those that failed."""

from collections import Counter

from tests.arango_double.http_messages import Request


class RequestCounter:
    def __init__(self) -> None:
        self._counts: Counter[tuple[int, str, str]] = Counter()

    def record(self, request: Request) -> None:
        self._counts[request.coordinator, request.method, request.path] += 1

    def count(
        self, method: str | None = None, path: str = "/", coordinator: int | None = None
    ) -> int:
        """Requests with this method, to a path with this beginning, at this coordinator."""
        return sum(
            count
            for (at, with_method, to_path), count in self._counts.copy().items()
            if method in {None, with_method}
            and to_path.startswith(path)
            and coordinator in {None, at}
        )

    def clear(self) -> None:
        self._counts.clear()
