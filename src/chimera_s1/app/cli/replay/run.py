"""Replaying: check the file, find a Redis, replay, say what became of it."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import anyio
import msgspec
import typer
from msgspec import Struct
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from chimera_s1.adapters.binance.recording import BinanceRecording
from chimera_s1.adapters.market_file import read_market_file
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.replay_recording import ReplayProgress, ReplayRecording
from chimera_s1.app.cli.shared.output import LINE_INTERVAL_MS, print_status, stdout_console
from chimera_s1.app.cli.shared.stream_store_location import (
    StreamStoreLocation,
    connected,
    find_stream_store,
)
from chimera_s1.app.embedded_redis import embedded_redis, node_addresses
from chimera_s1.app.settings.settings import Settings
from chimera_s1.domain.errors import ConfigurationError

_SHOWN_BAD_LINES = 5


class ReplayPlan(Struct, frozen=True):
    """What to replay and how.

    Attributes:
        file: Market data file.

        speed: Recorded seconds a second; None does not wait.

        skip_bad: Pass over damaged lines.

        hold: Keep an embedded Redis up afterwards.

        redis: Nodes the user named.

        as_json: Print the outcome as one JSON line.
    """

    file: Path
    speed: float | None
    skip_bad: bool
    hold: bool
    redis: str | None
    as_json: bool


class ReplayOutcome(Struct, frozen=True, kw_only=True):
    """What became of a file.

    Attributes:
        messages: Book messages that were read.

        messages_in_file: Messages the file holds, whatever their kind.

        windows: Windows with at least one quote.

        window_ms: Their width, ms.

        entries: Stream entries written.

        conflated: Messages replaced by a newer one of their stream within a window.

        dropped: Messages that gave no quote, by reason.

        bad_lines: Damaged lines passed over.

        digest: SHA-256 over the entries; equal for equal stream content.

        redis_addresses: Where the entries are.
    """

    messages: int
    messages_in_file: int
    windows: int
    window_ms: int
    entries: int
    conflated: int
    dropped: dict[str, int]
    bad_lines: int
    digest: str
    redis_addresses: tuple[str, ...]


class BadLines:
    """Counts damaged lines and keeps the first few for people."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, number: int, reason: str) -> None:
        """Count one line, by its number from 1."""
        self.count += 1
        if len(self.first) < _SHOWN_BAD_LINES:
            self.first.append(f"line {number}: {reason}")


async def replay_file(settings: Settings, plan: ReplayPlan) -> None:
    """Replay the file of *plan* and print what became of it.

    Raises:
        RecordingDamagedError: A line is damaged; nothing was published.

        ConfigurationError: The file holds no message, or no Redis can be had.

        PublisherUnavailableError: Redis does not answer.
    """
    bad = BadLines()
    messages = await anyio.to_thread.run_sync(_count_messages, plan, bad, abandon_on_cancel=True)
    if not messages:
        raise ConfigurationError(f"{plan.file} holds no message")
    for line in bad.first:
        print_status(f"{plan.file}, {line}: left out")
    async with _streams(settings, plan) as location:
        print_status(f"replaying {messages} messages onto {location}")
        outcome = await _replay(settings, plan, location, messages, bad.count)
        _print(outcome, as_json=plan.as_json)
        if plan.hold:
            print_status("holding Redis up until Ctrl-C")
            await _until_signal()


def _count_messages(plan: ReplayPlan, bad: BadLines) -> int:
    on_bad = bad.add if plan.skip_bad else None
    return sum(1 for _ in read_market_file(plan.file, on_damaged=on_bad))


@asynccontextmanager
async def _streams(settings: Settings, plan: ReplayPlan) -> AsyncIterator[StreamStoreLocation]:
    location = find_stream_store(plan.redis, settings, settings.state_dir)
    if location is not None:
        yield location
        return
    async with embedded_redis(settings) as redis:
        yield StreamStoreLocation(node_addresses(redis), "this command, embedded")
        if not plan.hold:
            print_status("the embedded Redis ends here and forgets its streams; --hold keeps it up")


async def _replay(
    settings: Settings, plan: ReplayPlan, location: StreamStoreLocation, messages: int, bad: int
) -> ReplayOutcome:
    records = read_market_file(plan.file, on_damaged=_ignore_bad_line if plan.skip_bad else None)
    feed = BinanceRecording(records, settings.conflation_ms)
    clock = SystemClock()
    async with connected(location, settings) as client:
        publisher = OfficialQuotePublisher(client, maxlen=settings.stream_maxlen)
        replaying = ReplayRecording(feed, publisher, clock=clock, speed=plan.speed)
        with _ReplayBar(messages, clock) as shown:
            progress = await replaying.run(shown.show)
    return ReplayOutcome(
        messages=progress.messages,
        messages_in_file=messages,
        windows=progress.windows,
        window_ms=settings.conflation_ms,
        entries=progress.entries,
        conflated=feed.counters.conflated,
        dropped=dict(sorted(feed.counters.dropped.items())),
        bad_lines=bad,
        digest=progress.digest,
        redis_addresses=tuple(map(str, location.addresses)),
    )


def _print(outcome: ReplayOutcome, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(outcome).decode())
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in outcome.dropped.items())
    typer.echo(f"messages  {outcome.messages} of {outcome.messages_in_file}")
    typer.echo(f"windows   {outcome.windows} of {outcome.window_ms} ms")
    typer.echo(f"entries   {outcome.entries}")
    typer.echo(f"conflated {outcome.conflated}")
    typer.echo(f"dropped   {reasons or 'none'}")
    typer.echo(f"bad lines {outcome.bad_lines}")
    typer.echo(f"digest    {outcome.digest}")


def _ignore_bad_line(_number: int, _reason: str) -> None:
    """It was counted when the file was checked."""


class _ReplayBar:
    """A bar in a terminal, a line every ten seconds elsewhere."""

    def __init__(self, total: int, clock: SystemClock) -> None:
        self._total = total
        self._clock = clock
        self._due_ms = clock.monotonic_ms() + LINE_INTERVAL_MS
        self._bar = Bar(
            TextColumn("replay"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("messages, {task.fields[entries]} entries"),
            TimeElapsedColumn(),
            console=stdout_console(),
            disable=not stdout_console().is_terminal,
        )
        self._task = self._bar.add_task("replay", total=total, entries=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: ReplayProgress) -> None:
        self._bar.update(self._task, completed=progress.messages, entries=progress.entries)
        if self._bar.disable and self._clock.monotonic_ms() >= self._due_ms:
            self._due_ms += LINE_INTERVAL_MS
            print_status(
                f"{progress.messages} of {self._total} messages, {progress.entries} entries"
            )


async def _until_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
