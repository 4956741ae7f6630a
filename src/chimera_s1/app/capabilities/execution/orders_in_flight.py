"""The orders that this instance is sending now."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class OrdersInFlight:
    """Client ids whose request is being stored, sent or recorded by this instance: the outcome of
    such an order is not unknown yet. After a crash there are none.
    """

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._requests

    @contextmanager
    def sending(self, client_id: str) -> Iterator[None]:
        self._requests[client_id] += 1
        try:
            yield
        finally:
            self._requests[client_id] -= 1
            if not self._requests[client_id]:
                del self._requests[client_id]
