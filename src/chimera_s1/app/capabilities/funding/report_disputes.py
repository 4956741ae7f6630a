"""Log and report what contradicts the stored history."""

import logging
from collections.abc import Callable

from chimera_s1.domain.funding.record import FundingDispute
from chimera_s1.domain.ports.operations_log import EventDetail

_log = logging.getLogger(__name__)


class ReportDisputes:
    """Args: record: Takes an operational event."""

    def __init__(self, record: Callable[[str, EventDetail], None]) -> None:
        self._record = record

    def on_dispute(self, dispute: FundingDispute) -> None:
        """Called once for each."""
        _log.warning(
            "%s: the exchange changed %s of the settlement at %d from %s to %s; the stored record "
            "stays",
            dispute.key.symbol,
            dispute.field,
            dispute.key.funding_time,
            dispute.stored,
            dispute.found or "nothing",
        )
        self._record(
            "funding.disputed",
            {
                **dispute.key._asdict(),
                "field": dispute.field,
                "stored": dispute.stored,
                "found": dispute.found,
            },
        )
