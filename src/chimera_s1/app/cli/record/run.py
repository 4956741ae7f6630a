"""Runs `record`: the market feeds of the service, written to a file."""

import math
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from msgspec import Struct

from chimera_s1.adapters.binance.exchange_information import BinanceExchangeInformation
from chimera_s1.adapters.binance.market_feed import BinanceMarketFeed
from chimera_s1.adapters.market_file import MarketFileWriter
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.direct_feed import direct_feed
from chimera_s1.app.cli.shared.output import StatusLine, print_line, print_status
from chimera_s1.app.foundation import ExchangeLimits, exchange_limits, served_endpoints
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.errors import ConfigurationError, PortError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.instrument_selection import select_instruments
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_feed import ConnectionFatal, ConnectionLost, FeedEvent

FLUSH_INTERVAL_MS = 500
"""Half of what may be lost, so that a late flush still keeps what is older than a second."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RecordingPlan(Struct, frozen=True):
    """The file, whose name chooses the compression, and the limits; None for no limit."""

    file: Path
    seconds: float | None
    messages: int | None


class MessageRecorder:
    """Writes received messages until the limit, or until writing fails.

    Attributes:
        done: Set then.
        failure: Why writing failed.
    """

    def __init__(self, writer: MarketFileWriter, messages_max: int | None) -> None:
        self._writer = writer
        self._messages_max = messages_max
        self.done = anyio.Event()
        self.failure: PortError | None = None

    @property
    def messages(self) -> int:
        return self._writer.messages_written

    def write(self, venue: Venue, payload: bytes, received_ms: int) -> None:
        """Write one message. Called by the socket, so it raises nothing."""
        if self.done.is_set():
            return
        with self._ends_on_failure():
            self._writer.write(received_ms, venue, payload)
        if self.messages == self._messages_max:
            self.done.set()

    async def keep_flushed(self, clock: Clock) -> None:
        """Flush until the limit, also while no message comes: `kill -9` then costs a second."""
        while not self.done.is_set():
            await clock.sleep_ms(FLUSH_INTERVAL_MS)
            with self._ends_on_failure():
                self._writer.flush()

    @contextmanager
    def _ends_on_failure(self) -> Iterator[None]:
        try:
            yield
        except PortError as error:
            self.failure = error
            self.done.set()


async def record_market_data(settings: Settings, plan: RecordingPlan) -> None:
    """Record what *settings* select until a limit of *plan* or a signal.

    Raises:
        ConfigurationError: No selected instrument is listed.
        ExchangeUnavailableError: The exchange's listings cannot be read.
        PortError: The file cannot be written.
    """
    clock = SystemClock()
    limits = exchange_limits(settings, clock)
    instruments = await _instruments(settings, clock, limits)
    with MarketFileWriter(plan.file) as writer, anyio.open_signal_receiver(*_SIGNALS) as signals:
        recorder = MessageRecorder(writer, plan.messages)
        with anyio.move_on_after(math.inf if plan.seconds is None else plan.seconds):
            async with anyio.create_task_group() as tasks:
                for venue, chosen in instruments.items():
                    feed = _feed(settings, venue, recorder, clock, limits)
                    tasks.start_soon(feed.run, chosen)
                tasks.start_soon(recorder.keep_flushed, clock)
                tasks.start_soon(_show_progress, recorder, plan.file, clock)
                tasks.start_soon(_finish_on_signal, signals, recorder)
                await recorder.done.wait()
                tasks.cancel_scope.cancel()
    if recorder.failure is not None:
        raise recorder.failure
    print_line(f"{plan.file}: {recorder.messages} messages")


async def _instruments(
    settings: Settings, clock: Clock, limits: ExchangeLimits
) -> dict[Venue, tuple[InstrumentId, ...]]:
    found: dict[Venue, tuple[InstrumentId, ...]] = {}
    choice = settings.symbol_filter
    if choice is None:
        raise ConfigurationError(
            "S1_SYMBOLS=s10 leaves the symbols to S10, which record does not ask; see --symbols"
        )
    endpoints = served_endpoints(settings)
    async with BinanceExchangeInformation(endpoints, clock, limits.budgets) as exchange:
        for venue in settings.venues:
            listings = await exchange.listings(venue)
            selection = select_instruments(choice, listings, venue, settings.shard)
            for name in selection.unlisted:
                print_status(f"{name} is not listed; skipped")
            if selection.instruments:
                found[venue] = selection.instruments
    if not found:
        raise ConfigurationError("nothing to record: no selected symbol is listed; see --symbols")
    print_status(f"recording {sum(map(len, found.values()))} instruments; stop with Ctrl-C")
    return found


def _feed(
    settings: Settings,
    venue: Venue,
    recorder: MessageRecorder,
    clock: Clock,
    limits: ExchangeLimits,
) -> BinanceMarketFeed:
    def write(payload: bytes, received_ms: int) -> None:
        recorder.write(venue, payload, received_ms)

    gate = limits.gates[venue]
    return direct_feed(settings, venue, clock, gate, _print_connection_loss, record=write)


def _print_connection_loss(event: FeedEvent) -> None:
    if isinstance(event, ConnectionLost | ConnectionFatal):
        print_status(
            f"{event.connection}: {event.cause}; reconnecting, the recording has a gap here"
        )


async def _show_progress(recorder: MessageRecorder, file: Path, clock: Clock) -> None:
    with StatusLine() as progress:
        started_ms = clock.monotonic_ms()
        while True:
            await clock.sleep_ms(progress.interval_ms)
            elapsed_s = (clock.monotonic_ms() - started_ms) / 1000
            progress.show(f"{file}: {recorder.messages} messages in {elapsed_s:.0f} s")


async def _finish_on_signal(
    signals: AsyncIterator[signal.Signals], recorder: MessageRecorder
) -> None:
    async for _ in signals:
        recorder.done.set()
