"""The orders that this instance is sending now."""

from collections.abc import Iterator
from contextlib import contextmanager


class OrdersInFlight:
    """Client ids whose request is being stored, sent or recorded by this instance: the outcome of
    such an order is not unknown yet. After a crash there are none.
    """

    def __init__(self) -> None:
        self._client_ids: set[str] = set()

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._client_ids

    @contextmanager
    def sending(self, client_id: str) -> Iterator[None]:
        self._client_ids.add(client_id)
        try:
            yield
        finally:
            self._client_ids.discard(client_id)
