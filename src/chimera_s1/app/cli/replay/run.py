"""Runs `replay`: checks the file, finds a Redis, publishes the quotes, prints the result."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from msgspec import Struct

from chimera_s1.adapters.binance.recording import BinanceRecording
from chimera_s1.adapters.market_file import FileCut, RecordedMessage, read_market_file
from chimera_s1.adapters.redis.publisher.official_quote_publisher import OfficialQuotePublisher
from chimera_s1.adapters.redis.publisher_lease import held_leases
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.market.replay_recording import ReplayProgress, ReplayRecording
from chimera_s1.app.cli.replay.target_check import (
    FileSummary,
    check_publishers,
    check_streams,
    rebase_shift_ms,
    summarize,
)
from chimera_s1.app.cli.shared.count_progress import CountProgress
from chimera_s1.app.cli.shared.output import print_json_line, print_line, print_status
from chimera_s1.app.cli.shared.stream_store_location import StreamStoreLocation, connected
from chimera_s1.app.embedded_redis import node_addresses, replay_redis
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.settings.types import parse_nodes
from chimera_s1.domain.errors import ConfigurationError, RecordingDamagedError

_SHOWN_BAD_LINES = 5


class ReplayPlan(Struct, frozen=True):
    """The options; *speed* is recorded seconds per second, None does not wait."""

    file: Path
    speed: float | None
    skip_bad: bool
    hold: bool
    into: str | None
    rebase: bool
    as_json: bool


class ReplayOutcome(Struct, frozen=True, kw_only=True):
    """What was replayed.

    Attributes:
        messages: Book messages read.
        messages_in_file: Messages of every kind.
        windows: Windows with at least one quote.
        conflated: Messages replaced by a newer one of their stream within a window.
        dropped: Messages that gave no quote, by reason.
        cut_after_line: The last complete line of a file that ends early; else None.
        digest: SHA-256 over the entries; equal for equal stream content.
    """

    messages: int
    messages_in_file: int
    windows: int
    window_ms: int
    entries: int
    conflated: int
    dropped: dict[str, int]
    bad_lines: int
    cut_after_line: int | None
    digest: str
    redis_addresses: tuple[str, ...]


class FileDefects:
    """Counts damaged lines, keeps the first few to print, and where the file is cut."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []
        self.cut: FileCut | None = None

    def add(self, number: int, reason: str) -> None:
        """Count line *number*, from 1."""
        self.count += 1
        if len(self.first) < _SHOWN_BAD_LINES:
            self.first.append(f"line {number}: {reason}")

    def end_at(self, cut: FileCut) -> None:
        self.cut = cut


async def replay_file(settings: Settings, plan: ReplayPlan) -> None:
    """Replay the file of *plan* and print the result.

    Raises:
        RecordingDamagedError: A line is damaged (nothing was published), or no message gives a
            quote.
        ConfigurationError: The file has no message, its streams hold newer entries, or there is no
            redis-server to embed.
        PublisherUnavailableError: Redis does not answer.
    """
    defects = FileDefects()
    summary = await anyio.to_thread.run_sync(_summarize, plan, defects, abandon_on_cancel=True)
    if defects.cut is not None:
        print_status(str(defects.cut))
    if not summary.messages:
        raise ConfigurationError(f"{plan.file} has no message")
    for line in defects.first:
        print_status(f"{plan.file}, {line}: skipped")
    async with _streams(settings, plan) as location:
        print_status(f"replaying {summary.messages} messages onto {location}")
        outcome = await _replay(settings, plan, location, summary, defects)
        _print(outcome, as_json=plan.as_json)
        if not outcome.entries:
            raise RecordingDamagedError(
                f"{plan.file}: none of its {summary.messages} messages gave a quote"
            )
        if plan.hold:
            print_status("keeping Redis running until Ctrl-C")
            await _until_signal()


def _summarize(plan: ReplayPlan, defects: FileDefects) -> FileSummary:
    return summarize(_read(plan, defects))


def _read(plan: ReplayPlan, defects: FileDefects) -> Iterator[RecordedMessage]:
    on_damaged = defects.add if plan.skip_bad else None
    return read_market_file(plan.file, on_damaged=on_damaged, on_cut=defects.end_at)


@asynccontextmanager
async def _streams(settings: Settings, plan: ReplayPlan) -> AsyncIterator[StreamStoreLocation]:
    if plan.into is not None:
        yield StreamStoreLocation(parse_nodes(plan.into), "--into")
        return
    async with replay_redis(settings) as redis:
        yield StreamStoreLocation(node_addresses(redis), "this command, embedded", embedded=True)
        if not plan.hold:
            print_status("the embedded Redis stops now and its streams are lost; --hold keeps it")


async def _replay(
    settings: Settings,
    plan: ReplayPlan,
    location: StreamStoreLocation,
    summary: FileSummary,
    defects: FileDefects,
) -> ReplayOutcome:
    records = _read(plan, FileDefects())  # they were counted when the file was checked
    clock = SystemClock()
    now_ms, messages = clock.now_ms(), summary.messages
    shift_ms = rebase_shift_ms(summary, now_ms, plan.speed) if plan.rebase else 0
    feed = BinanceRecording(records, settings.conflation_ms, shift_ms)
    async with connected(location, settings) as client:
        newest = await RedisQuoteReader(client).newest(tuple(summary.first_by_instrument))
        if plan.rebase:
            check_publishers(await held_leases(client), newest, now_ms)
        check_streams(summary, newest, shift_ms=shift_ms, rebased=plan.rebase)
        publisher = OfficialQuotePublisher(
            client, maxlen=settings.stream_maxlen, window=settings.conflation_ms
        )
        replaying = ReplayRecording(
            feed, publisher, clock=clock, window=settings.conflation_ms, speed=plan.speed
        )
        with CountProgress("replaying", "messages", messages, clock) as bar:

            def show(progress: ReplayProgress) -> None:
                bar.show(progress.messages, f", {progress.entries} entries")

            progress = await replaying.run(show)
    return ReplayOutcome(
        messages=progress.messages,
        messages_in_file=messages,
        windows=progress.windows,
        window_ms=settings.conflation_ms,
        entries=progress.entries,
        conflated=feed.counters.conflated,
        dropped=dict(sorted(feed.counters.dropped.items())),
        bad_lines=defects.count,
        cut_after_line=None if defects.cut is None else defects.cut.lines,
        digest=progress.digest,
        redis_addresses=tuple(map(str, location.addresses)),
    )


def _print(outcome: ReplayOutcome, *, as_json: bool) -> None:
    if as_json:
        print_json_line(outcome)
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in outcome.dropped.items())
    print_line(f"messages  {outcome.messages} of {outcome.messages_in_file}")
    print_line(f"windows   {outcome.windows} of {outcome.window_ms} ms")
    print_line(f"entries   {outcome.entries}")
    print_line(f"conflated {outcome.conflated}")
    print_line(f"dropped   {reasons or 'none'}")
    print_line(f"bad lines {outcome.bad_lines}")
    if outcome.cut_after_line is not None:
        print_line(f"cut after line {outcome.cut_after_line}")
    print_line(f"digest    {outcome.digest}")


async def _until_signal() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return
