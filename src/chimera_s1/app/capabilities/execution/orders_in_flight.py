"""The orders that this instance is sending now."""

from collections import Counter


class OrdersInFlight:
    """Client ids whose request is being stored, sent or recorded by this instance: the outcome of
    such an order is not unknown yet. After a crash there are none.
    """

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._requests

    def sending(self, client_id: str) -> "_Sending":
        return _Sending(self._requests, client_id)


class _Sending:
    """A class, since to enter a generator takes several times as long."""

    def __init__(self, requests: Counter[str], client_id: str) -> None:
        self._requests = requests
        self._client_id = client_id

    def __enter__(self) -> None:
        self._requests[self._client_id] += 1

    def __exit__(self, *_: object) -> None:
        self._requests[self._client_id] -= 1
        if not self._requests[self._client_id]:
            del self._requests[self._client_id]
