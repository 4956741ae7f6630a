"""Announced records on the funding streams: in order, each at least once, repeats recognizable."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
import msgspec
import pytest
from msgspec import structs

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.app.capabilities.funding.relay_records import (
    CURSOR,
    FORGET_INTERVAL_MS,
    KEPT_MS,
    RelayRecords,
    realised_event,
    replay_event,
)
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.relay_log import OVERLAP, POLL_INTERVAL_MS, RelayLog
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.errors import (
    ConfigurationError,
    InvalidValueError,
    PublisherUnavailableError,
)
from chimera_s1.domain.funding.record import FundingAmount, FundingRecord, IncomePart
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.operations.schedule import HOUR_MS
from chimera_s1.domain.ports.funding_events import FundingEvent
from chimera_s1.domain.ports.funding_store import FundingChange
from tests.fakes.funding_events import FakeFundingEvents
from tests.fakes.funding_store import FakeFundingStore
from tests.fakes.manual_clock import ManualClock, settle

RETRY_MS = 500
AT = 1_772_510_400_000


def record_of(symbol: str, number: int = 0, *, version: int = 1) -> FundingRecord:
    return FundingRecord(
        key=SettlementKey(AT + number * HOUR_MS, Symbol(symbol), REGULAR),
        rate=Decimal("0.00010000"),
        mark_price=Decimal("65000.1"),
        interval_h=8,
        content_hash="0" * 64,
        first_seen_at=AT,
        version=version,
    )


class Rig:
    """Instances that relay one store to the same streams."""

    def __init__(self, position_step: int = 1) -> None:
        self.store = FakeFundingStore(position_step)
        self.events = FakeFundingEvents()
        self.cursors = MemoryCursorStore()
        self.clock = ManualClock()
        self.leases = MemoryLeaseStore(self.clock)
        self.changes = ChangeSignal()
        self.now_ms = AT
        self.letters: list[tuple[LetterPort, str, str, bytes]] = []

    def records(self) -> RelayRecords:
        return RelayRecords(self.store, self.events, self._take, lambda: self.now_ms)

    def relay(self, owner: str = "one", records: RelayRecords | None = None) -> RelayLog:
        return RelayLog(
            records or self.records(),
            self.cursors,
            JobLease(CURSOR, self.leases, owner, self.clock),
            cursor=CURSOR,
            clock=self.clock,
            changes=self.changes,
            retries=Backoff(base_ms=RETRY_MS, max_wait_ms=RETRY_MS, jitter_ms=0),
        )

    async def write(self, *records: FundingRecord, announce: bool = True) -> None:
        await self.store.write([FundingChange(record, announce) for record in records])

    def _take(self, port: LetterPort, key: str, reason: str, payload: bytes, _: int) -> None:
        self.letters.append((port, key, reason, payload))


@asynccontextmanager
async def running(*relays: RelayLog) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        for relay in relays:
            tasks.start_soon(relay.run)
        await settle()
        yield
        tasks.cancel_scope.cancel()


def test_a_realised_event_says_what_is_known() -> None:
    event = realised_event(record_of("BTCUSDT"))
    assert event == FundingEvent(
        ts=AT,
        symbol=Symbol("BTCUSDT"),
        rate_est="",
        rate_real="0.0001",
        amount_usdt="",
        funding_time=AT,
        rate_type="Regular",
        event_id=f"BTCUSDT-{AT}-Regular-1",
    )


def test_an_amount_is_in_the_event_once_all_of_it_is_in_usdt() -> None:
    part = IncomePart(7, "BNB", Decimal("-0.001"))
    unknown = structs.replace(
        record_of("BTCUSDT", version=2),
        rate_est=Decimal("-0.00000012"),
        amount=FundingAmount(account="live:1", parts=(part,)),
    )
    event = realised_event(unknown)
    assert (event.rate_est, event.amount_usdt) == ("-0.00000012", "")
    assert event.event_id.endswith("-2")

    paid = FundingAmount(account="live:1", parts=(part,), amount_usdt=Decimal("-0.63"))
    assert realised_event(structs.replace(unknown, amount=paid)).amount_usdt == "-0.63"


async def test_announced_records_are_relayed_at_once_and_imported_ones_never() -> None:
    rig = Rig()
    await rig.write(record_of("AUSDT"), announce=False)
    async with running(rig.relay()):
        assert rig.events.ids() == []
        await rig.write(record_of("BUSDT"), record_of("AUSDT", 1))
        rig.changes.notify()
        await settle()

        assert rig.events.ids() == [f"BUSDT-{AT}-Regular-1", f"AUSDT-{AT + HOUR_MS}-Regular-1"]

        await rig.write(record_of("BUSDT", version=2))
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert rig.events.ids()[2:] == [f"BUSDT-{AT}-Regular-2"], "of another instance: soon"


@pytest.mark.parametrize(
    "refusal", [PublisherUnavailableError("no node"), ConfigurationError("NOPERM")]
)
async def test_redis_that_is_away_delays_events_and_loses_none(
    refusal: PublisherUnavailableError | ConfigurationError,
) -> None:
    rig = Rig()
    await rig.write(record_of("AUSDT"))
    rig.events.refusal = refusal
    relay = rig.relay()
    async with running(relay):
        assert relay.last_error == str(refusal)
        await rig.write(record_of("BUSDT"))
        rig.events.refusal = None
        await rig.clock.advance(RETRY_MS)

        assert rig.events.failed
        assert rig.events.ids() == [f"AUSDT-{AT}-Regular-1", f"BUSDT-{AT}-Regular-1"]
        assert (relay.last_error, rig.letters) == ("", [])


async def test_a_store_that_is_away_delays_events() -> None:
    rig = Rig()
    await rig.write(record_of("AUSDT"))
    rig.store.unavailable = "connection refused"
    relay = rig.relay()
    async with running(relay):
        assert (relay.last_error, rig.events.ids()) == ("connection refused", [])
        rig.store.unavailable = ""
        await rig.clock.advance(RETRY_MS)

        assert rig.events.ids() == [f"AUSDT-{AT}-Regular-1"]


async def test_a_stream_of_another_type_delays_no_other() -> None:
    rig = Rig()
    await rig.write(record_of("AUSDT"), record_of("BADUSDT"), record_of("CUSDT"))
    rig.events.refused = {Symbol("BADUSDT")}
    relay = rig.relay()
    async with running(relay):
        pass

    assert set(rig.events.ids()) == {f"AUSDT-{AT}-Regular-1", f"CUSDT-{AT}-Regular-1"}
    assert relay.last_error == ""
    [(port, key, reason, payload)] = rig.letters
    assert (port, key) == (LetterPort.FUNDING_EVENTS, f"BADUSDT-{AT}-Regular-1")
    assert "WRONGTYPE" in reason

    rig.events.refused = set()
    said = await replay_event(rig.events, payload.decode())
    assert key in said
    assert rig.events.events[-1] == realised_event(record_of("BADUSDT"))


@pytest.mark.parametrize("payload", ["", "{}", "[1]"])
async def test_a_letter_that_is_no_event_is_refused(payload: str) -> None:
    with pytest.raises(InvalidValueError, match="no funding event"):
        await replay_event(FakeFundingEvents(), payload)


@pytest.mark.parametrize("step", [1, 1_000])
async def test_after_a_start_the_last_records_are_written_again(step: int) -> None:
    """A Redis that failed over may have lost them; positions may have gaps."""
    rig = Rig(step)
    await rig.write(*(record_of("AUSDT", number) for number in range(3 * OVERLAP)))
    async with running(rig.relay()):
        pass
    first = rig.events.ids()
    assert len(first) == 3 * OVERLAP
    rig.events.events.clear()

    async with running(rig.relay()):
        pass

    assert rig.events.ids()[-OVERLAP:] == first[-OVERLAP:]
    assert len(rig.events.ids()) < 2 * OVERLAP, "not the whole log again"


async def test_what_was_relayed_days_ago_is_forgotten() -> None:
    rig = Rig()
    await rig.write(record_of("AUSDT"), record_of("BUSDT"))
    await rig.write(structs.replace(record_of("CUSDT"), first_seen_at=AT + 1))
    records = rig.records()
    rig.now_ms = AT + KEPT_MS
    async with running(rig.relay(records=records)):
        await rig.clock.advance(POLL_INTERVAL_MS)
        rig.now_ms += 1
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert records.forgotten == 0, "it has looked less than an hour ago"

        rig.now_ms += FORGET_INTERVAL_MS
        await rig.clock.advance(POLL_INTERVAL_MS)
        assert records.forgotten == 3
        assert await rig.store.announced() == ()

        await rig.write(record_of("DUSDT"))
        await rig.clock.advance(POLL_INTERVAL_MS)

    rig.events.events.clear()
    async with running(rig.relay()):
        pass
    assert rig.events.ids() == [f"DUSDT-{AT}-Regular-1"]


async def test_what_waits_for_redis_is_not_forgotten_however_old_it_is() -> None:
    rig = Rig()
    await rig.write(record_of("AUSDT"))
    records = rig.records()
    rig.events.refusal = PublisherUnavailableError("no node")
    rig.now_ms = AT + 10 * KEPT_MS
    async with running(rig.relay(records=records)):
        assert rig.events.failed
        assert records.forgotten == 0
        rig.events.refusal = None
        await rig.clock.advance(RETRY_MS)
        await rig.clock.advance(POLL_INTERVAL_MS)

    assert rig.events.ids() == [f"AUSDT-{AT}-Regular-1"]
    assert records.forgotten == 1


async def test_a_log_that_cannot_be_shortened_delays_no_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.store.unforgettable = "403/11 (forbidden)"
    relay = rig.relay()
    async with running(relay):
        await rig.write(record_of("AUSDT"))
        await rig.clock.advance(POLL_INTERVAL_MS)

    assert rig.events.ids() == [f"AUSDT-{AT}-Regular-1"]
    assert relay.last_error == ""
    assert caplog.text.count("403/11") == 1


async def test_one_of_two_instances_relays() -> None:
    rig = Rig()
    async with running(rig.relay("first"), rig.relay("other")):
        await rig.write(record_of("AUSDT"))
        rig.changes.notify()
        await rig.clock.advance(POLL_INTERVAL_MS)

    assert rig.events.ids() == [f"AUSDT-{AT}-Regular-1"]


def test_the_payload_of_a_letter_is_json_of_the_event() -> None:
    event = realised_event(record_of("币安人生USDT"))
    assert msgspec.json.decode(msgspec.json.encode(event), type=FundingEvent) == event
