"""What announced funding records are on `mkt:events:funding:<SYMBOL>`.

The relay also shortens the log of announced records: those that were relayed days ago are left out
of it. What waits for Redis stays, however old it is.
"""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from chimera_s1.app.capabilities.funding.write_rates import ANNOUNCED_MS
from chimera_s1.app.capabilities.operations.relay_log import (
    OVERLAP,
    PAGE,
    RelayedPage,
    overlap_start,
)
from chimera_s1.domain.errors import (
    ClockUncertainError,
    InvalidValueError,
    PublisherRefusedError,
    StoreUnavailableError,
)
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.operations.dead_letter import LetterPort, TakeLetter
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from chimera_s1.domain.ports.funding_events import FundingEvent, FundingEvents
from chimera_s1.domain.ports.funding_store import AnnouncedRecord, FundingStore

CURSOR: Final = "funding.relay"

KEPT_MS: Final = ANNOUNCED_MS + 2 * DAY_MS
"""Since a record was first seen. It was at most `ANNOUNCED_MS` old when it was announced, so it is
in the log for 2 days at least: after a failover of Redis the last ones are written again.
"""
FORGET_INTERVAL_MS: Final = HOUR_MS

_TRIES: Final = 2  # with the others of its page, and alone

_log = logging.getLogger(__name__)


class RelayRecords:
    """Implements `operations.relay_log.RelayedLog`. An event that Redis refuses for good, because
    the key of its stream is of another type, becomes a dead letter; the others go on.

    Args:
        now_ms: The exchange's time; it may raise `ClockUncertainError`.

    Attributes:
        forgotten: Announced records that this instance has removed from the log.
    """

    def __init__(
        self,
        store: FundingStore,
        events: FundingEvents,
        take_letter: TakeLetter,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._events = events
        self._take_letter = take_letter
        self._now_ms = now_ms
        self._forget_after = 0
        self.forgotten = 0

    async def start_before(self, cursor: int) -> int:
        async def read(start: int) -> Sequence[AnnouncedRecord]:
            return await self._store.announced(after=start, limit=OVERLAP)

        return await overlap_start(cursor, read)

    async def relay_after(self, position: int) -> RelayedPage:
        page = await self._store.announced(after=position, limit=PAGE)
        if not page:
            await self._forget(position)
        events = [realised_event(each.record) for each in page]
        refused = await self._publish(events) if events else 0
        last = page[-1].position if page else None
        return RelayedPage(last, len(events) - refused, is_full=len(page) == PAGE)

    async def _forget(self, relayed: int) -> None:
        """What was relayed up to that position and is old; a failure waits for the next time."""
        try:
            now = self._now_ms()
            if now < self._forget_after:
                return
            old = await self._store.forget_announced(through=relayed, before=now - KEPT_MS)
            self.forgotten += old
            if not old:
                self._forget_after = now + FORGET_INTERVAL_MS
        except ClockUncertainError:
            pass  # clock.perp says it
        except StoreUnavailableError as error:
            self._forget_after = now + FORGET_INTERVAL_MS
            _log.warning("the log of announced funding records is not shortened: %s", error)

    async def _publish(self, events: Sequence[FundingEvent]) -> int:
        """How many were refused."""
        try:
            await self._events.publish(events)
        except PublisherRefusedError:
            return sum([not await self._publish_alone(event) for event in events])
        return 0

    async def _publish_alone(self, event: FundingEvent) -> bool:
        """False if it was refused."""
        try:
            await self._events.publish([event])
        except PublisherRefusedError as error:
            _log.warning("event %s is a dead letter: %s", event.event_id, error)
            payload = msgspec.json.encode(event)
            self._take_letter(
                LetterPort.FUNDING_EVENTS, event.event_id, str(error), payload, _TRIES
            )
            return False
        return True


def realised_event(record: FundingRecord) -> FundingEvent:
    """Each version of a record is an event of its own: an amount may become known later."""
    funding_time, symbol, rate_type = record.key
    amount = record.amount.amount_usdt if record.amount else None
    return FundingEvent(
        ts=funding_time,
        symbol=symbol,
        rate_est=_text(record.rate_est),
        rate_real=exact_text(record.rate),
        amount_usdt=_text(amount),
        funding_time=funding_time,
        rate_type=rate_type,
        event_id=f"{symbol}-{funding_time}-{rate_type}-{record.version}",
    )


async def replay_event(events: FundingEvents, payload: str) -> str:
    """Write the event of a dead letter; consumers drop one that they have by its `event_id`.

    Raises:
        InvalidValueError: The payload is no event.
        PublisherUnavailableError, ConfigurationError: It is not written.
    """
    try:
        event = msgspec.json.decode(payload, type=FundingEvent)
    except msgspec.DecodeError as error:
        raise InvalidValueError(f"the payload is no funding event: {error}") from error
    await events.publish([event])
    return f"{event.event_id} is on the funding stream of {event.symbol}"


def _text(value: Decimal | None) -> str:
    return "" if value is None else exact_text(value)
