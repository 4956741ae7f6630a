"""Log and report what contradicts the stored history, and records that the store refuses."""

import logging
from collections.abc import Callable

from chimera_s1.domain.funding.record import FundingDispute
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import RefusedRecord
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
                **_key(dispute.key),
                "field": dispute.field,
                "stored": dispute.stored,
                "found": dispute.found,
            },
        )

    def on_refused(self, refused: RefusedRecord) -> None:
        record = refused.change.record
        _log.error(
            "%s: the store refuses the settlement at %d: %s",
            record.key.symbol,
            record.key.funding_time,
            refused.reason,
        )
        detail = {**_key(record.key), "version": record.version, "reason": refused.reason}
        self._record("funding.record_refused", detail)


def _key(key: SettlementKey) -> EventDetail:
    return {"symbol": key.symbol, "funding_time": key.funding_time, "rate_type": key.rate_type}
