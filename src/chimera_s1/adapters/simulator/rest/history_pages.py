"""Which orders and trades of the futures a query shows: by id, by time, by age."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from chimera_s1.adapters.simulator.matching.records import AlgoOrder, Order
from chimera_s1.adapters.simulator.rest.parameters import (
    DAY_MS,
    RECENT_MS,
    integer,
    time_window,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError

_ID_MAX = 10**19
_LIMIT, _LIMIT_MAX = 500, 1000
_UNFILLED_KEPT_MS = 3 * DAY_MS
_KEPT_MS = 90 * DAY_MS
_CANCELED = frozenset({"CANCELED", "EXPIRED"})

Row = TypeVar("Row")


class HistoryPage(Struct, frozen=True):
    """One page of a history.

    Attributes:
        from_id: None unless it was sent; it replaces the times.
        since_ms, until_ms: Both inclusive.
        newest: The last rows of the window instead of the first ones.
    """

    from_id: int | None
    since_ms: int
    until_ms: int
    limit: int
    newest: bool

    @classmethod
    def parse(cls, parameters: Mapping[str, str], id_name: str, now_ms: int) -> "HistoryPage":
        """Read the id *id_name*, `startTime`, `endTime` and `limit`.

        Raises:
            BinanceError: -4165, more than seven days; -1128, an id and a time; or a malformed one.
        """
        timed = bool({"startTime", "endTime"} & parameters.keys())
        if id_name in parameters and timed:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        since_ms, until_ms = time_window(parameters, now_ms)
        if "startTime" in parameters and "endTime" not in parameters:
            until_ms = min(until_ms, since_ms + RECENT_MS)
        if until_ms - since_ms > RECENT_MS:
            raise BinanceError(-4165, "Invalid time interval: Maximum time interval is 7 days.")
        from_id = integer(parameters, id_name, -1, highest=_ID_MAX)
        return cls(
            from_id=None if from_id < 0 else from_id,
            since_ms=since_ms,
            until_ms=until_ms,
            limit=integer(parameters, "limit", _LIMIT, lowest=1, highest=_LIMIT_MAX),
            newest="startTime" not in parameters,
        )

    def select(
        self,
        rows: Sequence[Row],
        id_of: Callable[[Row], int],
        time_of: Callable[[Row], int],
    ) -> Sequence[Row]:
        """The rows of this page; *rows* are the oldest first."""
        if self.from_id is not None:
            return [each for each in rows if id_of(each) >= self.from_id][: self.limit]
        inside = [each for each in rows if self.since_ms <= time_of(each) <= self.until_ms]
        return inside[-self.limit :] if self.newest else inside[: self.limit]


def order_named(
    parameters: Mapping[str, str], id_name: str, client_id_name: str
) -> tuple[int | None, str | None]:
    """Exchange id and client id; the exchange id wins.

    Raises:
        BinanceError: -1102, there is neither.
    """
    if parameters.get(id_name):
        return integer(parameters, id_name, 0, highest=_ID_MAX), None
    client_id = parameters.get(client_id_name)
    if not client_id:
        raise BinanceError(
            -1102,
            f"Param '{client_id_name}' or '{id_name}' must be sent, but both were empty/null!",
        )
    return None, client_id


def is_kept(order: Order | AlgoOrder, now_ms: int) -> bool:
    """Whether queries still know it: cancelled without a fill three days, others ninety."""
    if order.is_open:
        return True
    filled = order.filled_qty if isinstance(order, Order) else order.child_qty
    short = order.status in _CANCELED and not filled
    return now_ms - order.updated_ms <= (_UNFILLED_KEPT_MS if short else _KEPT_MS)
