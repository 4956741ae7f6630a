"""A replay publishes every window in order, at any speed, through store failures."""

from collections.abc import Iterator, Sequence

import anyio
import pytest

from chimera_s1.app.capabilities.market import replay_recording
from chimera_s1.app.capabilities.market.replay_recording import (
    RETRY_WAIT_MS,
    ReplayProgress,
    ReplayRecording,
)
from chimera_s1.domain.errors import (
    ConfigurationError,
    PublisherUnavailableError,
    RecordingDamagedError,
)
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.ports.market_feed import FeedCounters
from chimera_s1.domain.ports.recording import ReplayWindow
from tests.fakes.manual_clock import ManualClock, settle
from tests.fakes.quote_streams import MemoryQuoteStreams
from tests.sample_quotes import TS, quote
from tests.time_limits import TIMEOUT_S
from tests.unit.app.doubles import GatedPublisher

BTC = InstrumentId.parse("spot/BTCUSDT")
PERP = InstrumentId.parse("perp/BTCUSDT")
WINDOWS = tuple(
    ReplayWindow(
        TS + second * 1000,
        (
            quote(bid=float(second), ts=TS + second * 1000),
            quote("perp/BTCUSDT", bid=second + 0.5, ts=TS + second * 1000),
        ),
    )
    for second in range(1, 5)
)


class ListedRecording:
    """A recording of the given windows, optionally damaged after them."""

    def __init__(self, windows: Sequence[ReplayWindow] = WINDOWS, *, damaged: bool = False) -> None:
        self.counters = FeedCounters()
        self._windows = windows
        self._damaged = damaged

    def windows(self) -> Iterator[ReplayWindow]:
        for window in self._windows:
            self.counters.messages += 10
            yield window
        if self._damaged:
            raise RecordingDamagedError("line 41 is not a message")


class Bench:
    """A replay into memory."""

    def __init__(
        self, recording: ListedRecording | None = None, speed: float | None = None
    ) -> None:
        self.clock = ManualClock()
        self.streams = MemoryQuoteStreams(maxlen=1_000)
        self.publisher = GatedPublisher(self.streams, WindowMs(1000))
        self.progress: list[ReplayProgress] = []
        self.replay = ReplayRecording(
            recording or ListedRecording(),
            self.publisher,
            clock=self.clock,
            window=WindowMs(1000),
            speed=speed,
        )
        self.done: ReplayProgress | None = None

    async def run(self) -> None:
        self.done = await self.replay.run(self.progress.append)

    def bids(self, instrument: InstrumentId = BTC) -> list[float]:
        entries = self.streams.entries(instrument)
        return [float(dict(entry.fields)["bid1"]) for entry in entries]


async def test_every_window_is_published_in_order() -> None:
    bench = Bench()

    await bench.run()

    assert bench.bids(BTC) == [1.0, 2.0, 3.0, 4.0]
    assert bench.bids(PERP) == [1.5, 2.5, 3.5, 4.5]
    assert [len(batch) for batch in bench.publisher.offered] == [2, 2, 2, 2]
    assert [(each.windows, each.entries, each.messages) for each in bench.progress] == [
        (1, 2, 10),
        (2, 4, 20),
        (3, 6, 30),
        (4, 8, 40),
    ]
    assert [each.recorded_ms for each in bench.progress] == [each.end_ms for each in WINDOWS]
    assert bench.done == bench.progress[-1]


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
async def test_speed_changes_timing_only(speed: float) -> None:
    """Windows come as far apart as recorded, divided by the speed; the content is the same."""
    fast, paced = Bench(), Bench(speed=speed)
    await fast.run()

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(paced.run)
            await settle()
            for passed in range(1, len(WINDOWS)):
                assert len(paced.progress) == passed
                await paced.clock.advance(1000 / speed - 1)
                assert len(paced.progress) == passed
                await paced.clock.advance(1)

    assert fast.done is not None
    assert paced.done == fast.done
    assert paced.bids() == fast.bids()


async def test_different_recordings_have_different_digests() -> None:
    """One number, one order, one instrument that differs is another digest."""
    first, second = WINDOWS[0].quotes
    variants = [
        (first, second),
        (second, first),
        (first,),
        (quote(bid=1.0000001, ts=TS + 1), second),
        (quote("spot/ETHUSDT", bid=1.0, ts=TS + 1), second),
        (quote(bid=1.0, ts=TS + 2), second),
    ]
    digests = set()
    for quotes in variants:
        bench = Bench(ListedRecording([ReplayWindow(TS, quotes)]))
        await bench.run()
        assert bench.done is not None
        digests.add(bench.done.digest)

    assert len(digests) == len(variants)


async def test_unpublished_quotes_are_retried_until_acknowledged() -> None:
    """The next window waits; accepted quotes are not sent twice; the digest is that of a run
    without faults.
    """
    calm, bench = Bench(), Bench()
    await calm.run()
    bench.publisher.unavailable = {PERP}

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.run)
            await settle()
            await bench.clock.advance(2 * RETRY_WAIT_MS)
            assert (bench.bids(BTC), bench.bids(PERP)) == ([1.0], [])
            assert bench.progress == []
            bench.publisher.unavailable = set()
            await bench.clock.advance(RETRY_WAIT_MS)

    assert bench.bids(BTC) == calm.bids(BTC)
    assert bench.bids(PERP) == calm.bids(PERP)
    assert bench.done == calm.done


async def test_times_that_go_back_lose_nothing() -> None:
    """The clock was stepped back while it was recorded; two frames of a window keep their order."""
    quotes = [quote(bid=float(n), ts=TS - n * 100) for n in range(1, 5)]
    bench = Bench(ListedRecording([ReplayWindow(TS + n, (q,)) for n, q in enumerate(quotes)]))

    await bench.run()

    assert bench.bids() == [1.0, 2.0, 3.0, 4.0]


async def test_a_stream_with_newer_entries_ends_the_replay() -> None:
    """It names the stream; the same file twice would double every entry."""
    bench = Bench()
    await bench.run()

    with pytest.raises(ConfigurationError, match="perp/BTCUSDT, spot/BTCUSDT already hold newer"):
        await bench.run()

    assert bench.bids() == [1.0, 2.0, 3.0, 4.0]


async def test_unavailable_store_ends_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why, after GIVE_UP_MS of one window and not before."""
    monkeypatch.setattr(replay_recording, "STORE_TIMEOUT_MS", 2 * RETRY_WAIT_MS)
    bench = Bench()
    bench.streams.unavailable = True
    failures: list[PublisherUnavailableError] = []

    async def run() -> None:
        try:
            await bench.run()
        except PublisherUnavailableError as error:
            failures.append(error)

    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await settle()
            await bench.clock.advance(2 * RETRY_WAIT_MS)
            assert not failures
            await bench.clock.advance(RETRY_WAIT_MS)

    assert "did not accept a window within 0.5 s: quote streams unavailable" in str(failures[0])
    assert bench.progress == []


async def test_damage_is_reported_after_earlier_windows_are_published() -> None:
    bench = Bench(ListedRecording(WINDOWS[:2], damaged=True))

    with pytest.raises(RecordingDamagedError, match="line 41"):
        await bench.run()

    assert bench.bids() == [1.0, 2.0]
    assert len(bench.progress) == 2


async def test_an_empty_recording_is_replayed_to_its_end() -> None:
    bench = Bench(ListedRecording([]), speed=1.0)

    await bench.run()

    assert bench.done is not None
    assert (bench.done.windows, bench.done.entries) == (0, 0)
    assert bench.publisher.offered == []
