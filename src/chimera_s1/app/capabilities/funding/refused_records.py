"""Records that the store refuses for good: each is reported once, and counts until it is stored."""

import logging
from collections.abc import Callable
from typing import Final

from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import FundingStore, RefusedRecord
from chimera_s1.domain.ports.operations_log import EventDetail

REFUSED_MAX: Final = 10_000
"""Of further ones each attempt is reported, and none counts."""

_log = logging.getLogger(__name__)


class RefusedRecords:
    """Args: record: Takes an operational event."""

    def __init__(self, record: Callable[[str, EventDetail], None]) -> None:
        self._record = record
        self._versions: dict[SettlementKey, int] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def take(self, refused: RefusedRecord) -> None:
        """Jobs try again and again; only the first refusal of a version is reported."""
        record = refused.change.record
        key, version = record.key, record.version
        if self._versions.get(key) == version:
            return
        if key in self._versions or len(self._versions) < REFUSED_MAX:
            self._versions[key] = version
        _log.error(
            "%s: the store refuses the settlement at %s: %s; correct the store, then "
            "chimera-s1 jobs run funding.complete writes it",
            key.symbol,
            format_utc(key.funding_time),
            refused.reason,
        )
        self._record(
            "funding.record_refused",
            {**key._asdict(), "version": version, "reason": refused.reason},
        )

    async def forget_stored(self, store: FundingStore) -> None:
        """Forget those that any instance has written meanwhile.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        for key, record in (await store.find(list(self._versions))).items():
            if record.version >= self._versions.get(key, 0):
                self._versions.pop(key, None)
