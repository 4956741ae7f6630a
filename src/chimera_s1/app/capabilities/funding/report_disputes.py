"""Log and report what contradicts the stored history."""

import logging
from collections.abc import Callable

from chimera_s1.app.utc_time import format_utc
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
            "%s: the exchange changed %s of the settlement at %s from %s to %s; the stored record "
            "stays; chimera-s1 funding gaps lists all disputes",
            dispute.key.symbol,
            dispute.field,
            format_utc(dispute.key.funding_time),
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
