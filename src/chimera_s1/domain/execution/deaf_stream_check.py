"""Whether a private stream is deaf: connected, but silent about what it should have said.

A quiet account has no events, so silence alone proves nothing. A query does: where it shows a
change that is older than the time an event takes, and the stream has not said it, it is deaf.
"""

import math
from collections import OrderedDict

from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.order_status import is_closed
from chimera_s1.domain.execution.reports import OrderReport
from chimera_s1.domain.operations.backoff import Backoff

EVENT_DUE_MS = 2_000
"""An event of our own order comes within this time."""

REMEMBERED_MAX = 4_096
RENEWAL_BACKOFF = Backoff(base_ms=15_000, max_wait_ms=900_000, jitter_ms=0)
"""A renewal that did not help is not repeated at the same pace."""

_Key = tuple[OrderFamily, str]


class DeafStreamCheck:
    """What the stream of one venue has said. Times are of the exchange's clock, epoch ms."""

    def __init__(self) -> None:
        self._heard: OrderedDict[_Key, OrderReport] = OrderedDict()
        self._since_ms = math.inf
        """Every event after this moment should be in *_heard*."""
        self._renewals = 0
        self._renewal_from_ms = -math.inf

    def resume(self, at_ms: float) -> None:
        """It is connected again: what happened before, it need not have said."""
        self._since_ms = at_ms
        self._heard.clear()

    def hear(self, report: OrderReport) -> None:
        key = report.family, report.exchange_id
        before = self._heard.pop(key, None)
        self._heard[key] = before if before is not None and _covers(before, report) else report
        self._renewals = 0
        if len(self._heard) > REMEMBERED_MAX:
            _, oldest = self._heard.popitem(last=False)
            self._since_ms = max(self._since_ms, oldest.at_ms)

    def missed(self, read: OrderReport, asked_ms: float) -> bool:
        """Whether the stream should have said what a query that began at *asked_ms* shows."""
        if not self._since_ms < read.at_ms <= asked_ms - EVENT_DUE_MS:
            return False
        heard = self._heard.get((read.family, read.exchange_id))
        return heard is None or not _covers(heard, read)

    def may_renew(self, now_ms: float) -> bool:
        return now_ms >= self._renewal_from_ms

    def renew(self, now_ms: float) -> None:
        """It is being connected again; until `resume` it need not say anything."""
        self._since_ms = math.inf
        self._renewal_from_ms = now_ms + RENEWAL_BACKOFF.wait_ms(self._renewals, 0)
        self._renewals += 1


def _covers(heard: OrderReport, other: OrderReport) -> bool:
    """Whether *heard* is not older than *other*, as far as it matters."""
    if heard.filled_qty != other.filled_qty:
        return heard.filled_qty > other.filled_qty
    return is_closed(heard.family, heard.status) or not is_closed(other.family, other.status)
