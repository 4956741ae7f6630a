"""A standby takes over: from a publisher that was killed, and from one that is stopped."""

import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.redis.quote_reader import RedisQuoteReader
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.market.entry_id import EntryId
from tests.load.bench_context import BenchContext
from tests.load.book_frames import symbol_name
from tests.load.figures import NothingMeasuredError
from tests.load.processes import Service
from tests.load.report import Row

SYMBOLS = 200
RATE = 5_000
ROUNDS = 10
WINDOW_MS = 1_000
SETTLE_S = 3.0
KILL_MAX_MS = 3_000
_POLL_INTERVAL_S = 0.005

_clock = SystemClock()


class TakeOver(Struct, frozen=True):
    """One round.

    Attributes:
        first_ms, last_ms: From the signal (SIGTERM: from the end of the process) to the next entry
            of the first and of the last stream.
        missing: Windows without an entry, over all streams.
        repeated: Windows with more than one.
    """

    first_ms: float
    last_ms: float
    missing: int
    repeated: int


async def bench_takeover(bench: BenchContext) -> None:
    names = [InstrumentId(Venue.SPOT, parse_symbol(symbol_name(n))) for n in range(SYMBOLS)]
    async with (
        bench.rig.sender(SYMBOLS, RATE) as port,
        connect_cluster(bench.redis.addresses) as client,
        AsyncExitStack() as stack,
    ):
        publisher = await stack.enter_async_context(bench.rig.service(port))
        found: dict[signal.Signals, list[TakeOver]] = {signal.SIGKILL: [], signal.SIGTERM: []}
        for _ in range(bench.times(ROUNDS)):
            for how, rounds in found.items():
                standby = await stack.enter_async_context(bench.rig.service(port))
                rounds.append(await _take_over(client, names, publisher, how))
                publisher = standby
    rows = [*_rows("kill -9", found[signal.SIGKILL], KILL_MAX_MS)]
    rows += _rows("SIGTERM", found[signal.SIGTERM], None)
    bench.report.table(
        f"A standby takes over, {SYMBOLS} symbols, window {WINDOW_MS} ms",
        rows,
        f"{bench.times(ROUNDS)} rounds each. kill -9: from the signal; SIGTERM: from the end of "
        "the process, which has written its last windows. With windows of a second the next entry "
        "may wait so long for the end of its window.",
    )


async def _take_over(
    client: ClusterClient,
    names: Sequence[InstrumentId],
    publisher: Service,
    how: signal.Signals,
) -> TakeOver:
    reader = RedisQuoteReader(client)
    began = await _last_ids(reader, names)
    os.kill(publisher.pid, how)
    sent_ms = _clock.monotonic_ms()
    await publisher.ended()
    if how is signal.SIGTERM:
        sent_ms = _clock.monotonic_ms()
    before = await _last_ids(reader, names)
    moved_ms: list[float] = []
    waiting = set(names)
    with anyio.fail_after(30):
        while waiting:
            now = await _last_ids(reader, names)
            moved = {each for each in waiting if now[each] > before[each]}
            moved_ms += [_clock.monotonic_ms() - sent_ms] * len(moved)
            waiting -= moved
            await anyio.sleep(_POLL_INTERVAL_S)
    await anyio.sleep(SETTLE_S)
    missing, repeated = await _gaps(client, names, began)
    return TakeOver(min(moved_ms), max(moved_ms), missing, repeated)


async def _last_ids(
    reader: RedisQuoteReader, names: Sequence[InstrumentId]
) -> dict[InstrumentId, EntryId]:
    entries = await reader.newest(names)
    if len(entries) != len(names):
        raise NothingMeasuredError(f"only {len(entries)} of {len(names)} streams have entries")
    return {entry.instrument: EntryId.parse(entry.entry_id) for entry in entries}


async def _gaps(
    client: ClusterClient, names: Sequence[InstrumentId], began: dict[InstrumentId, EntryId]
) -> tuple[int, int]:
    """Windows that are missing and that are repeated since *began*."""
    missing = repeated = 0
    for name in names:
        entries = await client.xrange(quote_stream(name), min=str(began[name])) or []
        ends = [EntryId.parse(str(entry_id)).ms // WINDOW_MS for entry_id, _ in entries]
        for one, other in pairwise(ends):
            missing += max(0, other - one - 1)
            repeated += other == one
    return missing, repeated


def _rows(what: str, rounds: Sequence[TakeOver], limit_ms: int | None) -> list[Row]:
    first = sorted(each.first_ms for each in rounds)
    last = sorted(each.last_ms for each in rounds)
    missing = sum(each.missing for each in rounds)
    repeated = sum(each.repeated for each in rounds)
    middle = len(rounds) // 2
    return [
        Row(
            f"{what}: the first stream's next entry",
            f"p50 {first[middle]:,.0f} ms, most {first[-1]:,.0f} ms",
            f"at most {limit_ms:,} ms" if limit_ms else "",
            first[-1] <= limit_ms if limit_ms else None,
        ),
        Row(
            f"{what}: the last stream's next entry",
            f"p50 {last[middle]:,.0f} ms, most {last[-1]:,.0f} ms",
        ),
        Row(f"{what}: windows missing", f"{missing}", "0", missing == 0),
        Row(f"{what}: windows twice", f"{repeated}", "0", repeated == 0),
    ]
