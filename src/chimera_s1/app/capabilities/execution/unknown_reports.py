"""What the exchange says that this version does not know, reported once each."""

from collections.abc import Callable

from chimera_s1.domain.execution.client_ids import has_our_prefix
from chimera_s1.domain.execution.observation import Tracked
from chimera_s1.domain.execution.order_status import is_known
from chimera_s1.domain.execution.reports import FillReport

REPORTED_MAX = 1_000
"""So many are remembered; then the oldest may be reported again."""


class UnknownReports:
    """Reports `execution.order_unknown`, an order with our prefix that the ledger does not have,
    and `execution.status_unknown`, a status that counts as open.

    Args:
        report: Takes the kind of the event and its details; must not raise.
    """

    def __init__(self, report: Callable[[str, dict[str, str]], None]) -> None:
        self._report = report
        self._reported: dict[tuple[str, str], None] = {}

    def notice(self, report: Tracked, owner: str | None) -> None:
        """*owner* is our client id of the order that *report* is about, if it is ours."""
        if owner is None and has_our_prefix(report.client_id):
            detail = {"client_order_id": report.client_id, "symbol": report.symbol}
            self._once("execution.order_unknown", report.client_id, detail)
        if not isinstance(report, FillReport) and not is_known(report.status):
            detail = {"status": report.status, "client_order_id": report.client_id}
            self._once("execution.status_unknown", report.status, detail)

    def _once(self, kind: str, name: str, detail: dict[str, str]) -> None:
        if (kind, name) in self._reported:
            return
        self._reported[kind, name] = None
        if len(self._reported) > REPORTED_MAX:
            del self._reported[next(iter(self._reported))]
        self._report(kind, detail)
