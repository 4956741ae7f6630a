"""The operations outbox: ordered, bounded, and retried while the store is unavailable."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.app.capabilities.operations import operations_outbox
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.operations.outbox import REFUSALS_MAX, RETRY_WAIT_MS
from chimera_s1.domain.errors import (
    ConfigurationError,
    InvalidValueError,
    PublisherRefusedError,
    PublisherUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.operations.reconnect import RECONNECT_GRACE_MS
from chimera_s1.domain.ports.market_feed import (
    ConnectionFatal,
    ConnectionLost,
    ConnectionOpened,
    ConnectionRenewed,
    FatalEnded,
    RoundTrip,
)
from chimera_s1.domain.ports.operations_log import (
    OperationsEvent,
    RoundTripEntry,
    RoundTripSummary,
)
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.operations_log import MemoryOperationsLog
from tests.sample_quotes import TS
from tests.time_limits import TIMEOUT_S

LOSS = {"connection": "spot-0", "venue": "spot", "cause": "cut", "retry_count": 3}


class Store(MemoryOperationsLog):
    """A log that may take its time, or refuse our credentials."""

    def __init__(self) -> None:
        super().__init__()
        self.refusing = False
        self.wrong_type = False
        self.refusals = 0
        self.called = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()

    async def record(self, event: OperationsEvent) -> str:
        await self._pass()
        return await super().record(event)

    async def record_round_trip(self, entry: RoundTripEntry, summary: RoundTripSummary) -> None:
        await self._pass()
        await super().record_round_trip(entry, summary)

    async def _pass(self) -> None:
        self.called.set()
        await self.gate.wait()
        if self.wrong_type:
            self.refusals += 1
            raise PublisherRefusedError("Redis: WRONGTYPE Operation")
        if self.refusing:
            raise ConfigurationError("another password")


class Bench:
    """The outbox over a store in memory; event ids count from 1."""

    def __init__(self) -> None:
        self.clock = ManualClock(TS)
        self.store = Store()
        numbers = count(1)
        self.letters: list[tuple[LetterPort, str, str, bytes, int]] = []
        self.operations = OperationsOutbox(
            self.store,
            clock=self.clock,
            new_id=lambda: str(next(numbers)),
            take_letter=lambda *letter: self.letters.append(letter),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with anyio.fail_after(TIMEOUT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.operations.run)
                await settle()
                yield
                tasks.cancel_scope.cancel()

    def ids(self) -> list[str]:
        return [event.event_id for event in self.store.events]


def round_trip(connection: str, rtt_ms: float) -> RoundTrip:
    return RoundTrip(connection, Venue.SPOT, rtt_ms, 1.23456)


async def test_each_connection_change_is_an_event() -> None:
    """Kinds and details are what consumers of ops:events read."""
    bench = Bench()
    spot = Venue.SPOT
    async with bench.running():
        for event in (
            ConnectionOpened("spot-0", spot, ()),
            ConnectionLost("spot-0", spot, (), "cut", 3, 500.0),
            ConnectionFatal("spot-0", spot, (), "cut", 3),
            FatalEnded("spot-0", spot),
            ConnectionRenewed("spot-0", spot, "24 h"),
        ):
            bench.operations.on_feed_event(event)
        await settle()

    plain = {"connection": "spot-0", "venue": "spot"}
    assert [(event.kind, event.detail) for event in bench.store.events] == [
        ("ws.opened", plain),
        ("ws.lost", LOSS),
        ("ws.fatal", LOSS),
        ("ws.recovered", plain),
        ("ws.renewed", {**plain, "cause": "24 h"}),
    ]
    assert bench.ids() == ["1", "2", "3", "4", "5"]
    assert {event.ts for event in bench.store.events} == {TS}
    assert bench.operations.events.written == 5


async def test_a_short_loss_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The loss, with its cause; the return is a line of its own after a loss that lasted."""
    caplog.set_level(logging.INFO)
    bench, spot = Bench(), Venue.SPOT
    lost = ConnectionLost("spot-0", spot, (), "cut", 0, 500.0)
    opened = ConnectionOpened("spot-0", spot, ())
    for lost_ms in (600, RECONNECT_GRACE_MS):
        bench.operations.on_feed_event(lost)
        await bench.clock.advance(lost_ms)
        bench.operations.on_feed_event(opened)

    loss = "spot-0 lost: cut; reconnecting in 0.5 s"
    assert [record.message for record in caplog.records] == [
        *(loss, loss),
        "spot-0: delivering again after 10.0 s",
    ]


@pytest.mark.parametrize("refusing", [False, True])
async def test_unavailable_store_loses_and_doubles_no_event(*, refusing: bool) -> None:
    """Events wait in order, also where the store refuses us: a password may be mended meanwhile."""
    bench = Bench()
    async with bench.running():
        bench.operations.record("before", {})
        await settle()
        bench.store.unavailable, bench.store.refusing = not refusing, refusing
        for _ in range(3):
            bench.operations.record("during", {})
            await settle()
            await bench.clock.advance(RETRY_WAIT_MS)
        assert bench.ids() == ["1"]
        assert bench.operations.pending == 3

        bench.store.unavailable = bench.store.refusing = False
        bench.operations.record("after", {})
        await bench.clock.advance(RETRY_WAIT_MS)

    assert bench.ids() == ["1", "2", "3", "4", "5"]
    assert bench.operations.pending == 0
    assert bench.operations.events.written == 5


async def test_event_during_a_write_is_written_next() -> None:
    bench = Bench()
    async with bench.running():
        bench.store.gate = anyio.Event()
        bench.operations.record("first", {})
        await bench.store.called.wait()
        bench.operations.record("second", {})
        bench.store.gate.set()
        await settle()

    assert [event.kind for event in bench.store.events] == ["first", "second"]


@pytest.mark.parametrize("during_write", [False, True])
async def test_full_outbox_drops_its_oldest_event(
    monkeypatch: pytest.MonkeyPatch, *, during_write: bool
) -> None:
    """The bound holds while the store is unavailable and while it writes; dropped events are
    counted.
    """
    monkeypatch.setattr(operations_outbox, "OUTBOX_MAX", 3)
    bench = Bench()
    async with bench.running():
        bench.store.gate = anyio.Event()
        if during_write:
            bench.operations.record("first", {})
            await bench.store.called.wait()
        for _ in range(5 - during_write):
            bench.operations.record("more", {})
        assert bench.operations.pending == 3
        assert bench.operations.events.dropped == 2
        bench.store.gate.set()
        await settle()

    assert bench.ids() == (["1", "3", "4", "5"] if during_write else ["3", "4", "5"])


async def test_failed_flush_raises_and_keeps_events() -> None:
    bench = Bench()
    bench.operations.record("last", {})
    bench.store.unavailable = True
    with pytest.raises(PublisherUnavailableError):
        await bench.operations.flush()
    assert bench.operations.pending == 1

    bench.store.unavailable = False
    await bench.operations.flush()

    assert bench.ids() == ["1"]


async def test_only_the_newest_round_trip_of_each_connection_waits() -> None:
    """A sample that was not written waits as an event does, until a newer one replaces it."""
    bench = Bench()
    async with bench.running():
        bench.store.unavailable = True
        bench.operations.on_feed_event(round_trip("spot-0", 10.0))
        bench.operations.on_feed_event(round_trip("spot-1", 20.00049))
        await settle()
        bench.operations.on_feed_event(round_trip("spot-0", 30.0))
        bench.store.unavailable = False
        await bench.clock.advance(RETRY_WAIT_MS)

        bench.operations.on_feed_event(round_trip("spot-0", 40.0))
        await settle()

    written = [(entry.connection, entry.rtt_ms) for entry in bench.store.round_trips]
    assert written == [("spot-0", 30.0), ("spot-1", 20.0), ("spot-0", 40.0)]
    first = bench.store.round_trips[0]
    assert (first.ts, first.venue, first.process_ms) == (TS, "spot", 1.235)
    assert bench.store.summary == RoundTripSummary(p50=20.00049, p95=40.0, n=4)


async def test_round_trip_during_a_write_is_written_too() -> None:
    bench = Bench()
    async with bench.running():
        bench.store.gate = anyio.Event()
        bench.operations.on_feed_event(round_trip("spot-0", 1.0))
        await bench.store.called.wait()
        bench.operations.on_feed_event(round_trip("spot-0", 2.0))
        bench.store.gate.set()
        await settle()

    assert [entry.rtt_ms for entry in bench.store.round_trips] == [1.0, 2.0]


@given(st.lists(st.floats(0.001, 10_000), max_size=60))
def test_percentiles_are_those_of_the_last_round_trips(samples: list[float]) -> None:
    """Nearest rank: half, and 95 of 100, are at or below; zeros before the first."""
    bench = Bench()
    for rtt_ms in samples:
        bench.operations.on_feed_event(round_trip("spot-0", rtt_ms))

    summary = bench.operations.round_trips()

    assert summary.n == len(samples)
    for share, value in ((0.50, summary.p50), (0.95, summary.p95)):
        below = [each for each in samples if each <= value]
        assert len(below) >= share * len(samples)
        assert value in samples or (value == 0.0 and not samples)
        assert len([each for each in samples if each < value]) <= share * len(samples)


async def test_old_round_trips_are_dropped() -> None:
    bench = Bench()
    for rtt_ms in range(operations_outbox.ROUND_TRIPS_KEPT + 500):
        bench.operations.on_feed_event(round_trip("spot-0", float(rtt_ms)))

    summary = bench.operations.round_trips()

    assert (summary.n, summary.p50) == (operations_outbox.ROUND_TRIPS_KEPT, 999.0)


async def test_an_event_that_redis_keeps_refusing_becomes_a_dead_letter() -> None:
    """After its retries; those behind it at their first refusal, until one is taken."""
    bench = Bench()
    bench.store.wrong_type = True
    async with bench.running():
        bench.operations.record("a", {"n": 1})
        bench.operations.record("b", {})
        for _ in range(REFUSALS_MAX - 1):
            assert bench.letters == []
            await settle()
            await bench.clock.advance(RETRY_WAIT_MS)
        await settle()
        refused = bench.store.refusals
        bench.store.wrong_type = False
        bench.operations.record("c", {})
        await settle()

    assert [letter[:3] for letter in bench.letters] == [
        (LetterPort.OPERATIONS_LOG, "a 1", "Redis: WRONGTYPE Operation"),
        (LetterPort.OPERATIONS_LOG, "b 2", "Redis: WRONGTYPE Operation"),
    ]
    assert [letter[4] for letter in bench.letters] == [REFUSALS_MAX, 1]
    assert refused == REFUSALS_MAX + 1
    assert (bench.ids(), bench.operations.events.refused) == (["3"], 2)


async def test_an_event_is_retried_without_end_while_redis_is_away() -> None:
    bench = Bench()
    bench.store.unavailable = True
    async with bench.running():
        bench.operations.record("a", {})
        for _ in range(3 * REFUSALS_MAX):
            await settle()
            await bench.clock.advance(RETRY_WAIT_MS)
        assert (bench.operations.pending, bench.letters) == (1, [])


async def test_events_that_a_full_outbox_drops_become_dead_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations_outbox, "OUTBOX_MAX", 2)
    bench = Bench()
    for kind in "abc":
        bench.operations.record(kind, {})

    assert [letter[1] for letter in bench.letters] == ["a 1"]
    assert bench.letters[0][2] == "2 entries wait for Redis: not tried"


async def test_events_that_cannot_be_written_at_the_stop_become_dead_letters() -> None:
    bench = Bench()
    bench.store.unavailable = True
    bench.operations.record("a", {})

    with pytest.raises(PublisherUnavailableError):
        await bench.operations.flush_at_stop()

    assert bench.operations.pending == 0
    [(_, key, reason, _, _)] = bench.letters
    assert (key, reason) == ("a 1", "not written before the stop: operations log unavailable")


async def test_a_replay_writes_the_same_event_again() -> None:
    bench = Bench()
    bench.store.unavailable = True
    bench.operations.record("ws.lost", {"cause": "naïve", "n": 1.5, "none": None})
    with pytest.raises(PublisherUnavailableError):
        await bench.operations.flush_at_stop()
    bench.store.unavailable = False

    done = await bench.operations.replay(bench.letters[0][3].decode())

    assert done == "written to ops:events as 1 1"
    [event] = bench.store.events
    assert event == OperationsEvent("1", TS, "ws.lost", {"cause": "naïve", "n": 1.5, "none": None})


async def test_a_payload_that_is_no_event_is_not_replayed() -> None:
    with pytest.raises(InvalidValueError, match="no operational event"):
        await Bench().operations.replay('{"kind": 1}')
