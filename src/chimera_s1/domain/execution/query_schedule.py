"""Which working orders are queried now: each at its interval, the one that waits longest first."""

from collections.abc import Mapping
from itertools import accumulate
from types import MappingProxyType

from msgspec import Struct

TRUSTED_INTERVAL_MS = 5_000
"""While the private stream of the venue is proven."""

UNPROVEN_INTERVAL_MS = 1_000


class QueryRound(Struct, frozen=True, kw_only=True):
    """Attributes:
    due: To be queried now, in this order.
    late: So many more are due, and wait for the next round.
    """

    due: tuple[str, ...]
    late: int


class QuerySchedule:
    """Args: limit: Requests of one round; it keeps many orders inside the request budget."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._asked_ms: dict[str, float] = {}

    def next_round(
        self,
        intervals_ms: Mapping[str, float],
        now_ms: float,
        requests: Mapping[str, int] = MappingProxyType({}),
    ) -> QueryRound:
        """*intervals_ms*: of each order that is working, by client id. A new one is first queried
        after its interval. The orders of the round count as asked. *requests*: of a query of each
        order, where it is not 1; one that alone exceeds the limit has a round of its own.
        """
        self._asked_ms = {name: self._asked_ms.get(name, now_ms) for name in intervals_ms}
        late_ms = {
            name: now_ms - asked_ms - intervals_ms[name]
            for name, asked_ms in self._asked_ms.items()
        }
        due = sorted((name for name, late in late_ms.items() if late >= 0), key=self._order)
        costs = accumulate(requests.get(name, 1) for name in due)
        fitting = sum(cost <= self._limit for cost in costs)
        chosen = due[: max(1, fitting)]
        self._asked_ms.update(dict.fromkeys(chosen, now_ms))
        return QueryRound(due=tuple(chosen), late=len(due) - len(chosen))

    def _order(self, client_id: str) -> float:
        return self._asked_ms[client_id]
