"""What the exchange says that this version does not know, reported once each."""

from collections.abc import Callable, Iterator

from chimera_s1.domain.execution.client_ids import has_our_prefix
from chimera_s1.domain.execution.observation import Tracked
from chimera_s1.domain.execution.order_status import (
    KNOWN_POSITION_SIDES,
    KNOWN_SIDES,
    KNOWN_TYPES,
    is_known,
)
from chimera_s1.domain.execution.reports import FillReport, OrderListReport, OrderReport
from chimera_s1.domain.ports.operations_log import EventDetail

REPORTED_MAX = 1_000
"""So many are remembered; then the oldest may be reported again."""


class UnknownReports:
    """Reports `execution.order_unknown`, an order with our prefix that the ledger does not have,
    and words that are kept as they are: `execution.status_unknown`, which counts as open,
    `execution.type_unknown`, `execution.side_unknown`, `execution.position_side_unknown`. And
    `execution.report_unusable`: what the ledger cannot keep.

    Args:
        report: Takes the kind of the event and its details; must not raise.
    """

    def __init__(self, report: Callable[[str, EventDetail], None]) -> None:
        self._report = report
        self._reported: dict[tuple[str, str], None] = {}

    def notice(self, report: Tracked, owner: str | None) -> None:
        """*owner* is our client id of the order that *report* is about, if it is ours."""
        if owner is None and has_our_prefix(report.client_id):
            detail: EventDetail = {"client_order_id": report.client_id, "symbol": report.symbol}
            self._once("execution.order_unknown", report.client_id, detail)
        for word, value, known in _words(report):
            if not known:
                detail = {word: value, "client_order_id": report.client_id}
                self._once(f"execution.{word}_unknown", value, detail)

    def refuse(self, report: Tracked, problem: str) -> None:
        """*report* is dropped."""
        detail: EventDetail = {"client_order_id": report.client_id, "problem": problem}
        self._once("execution.report_unusable", problem, detail)

    def _once(self, kind: str, name: str, detail: EventDetail) -> None:
        if (kind, name) in self._reported:
            return
        self._reported[kind, name] = None
        if len(self._reported) > REPORTED_MAX:
            del self._reported[next(iter(self._reported))]
        self._report(kind, detail)


def _words(report: Tracked) -> Iterator[tuple[str, str, bool]]:
    """Name, value, and whether it is known."""
    if not isinstance(report, FillReport):
        yield "status", report.status, is_known(report.status)
    if not isinstance(report, OrderListReport):
        yield "side", report.side, report.side in KNOWN_SIDES
        side = report.position_side
        yield "position_side", side, side in KNOWN_POSITION_SIDES
    if isinstance(report, OrderReport):
        yield "type", report.type, report.type in KNOWN_TYPES
