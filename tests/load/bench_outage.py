"""A Redis outage of 30 s under load: time to recovery, and stale quotes after it."""

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess, poll_until
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from tests.load.bench_context import BenchContext
from tests.load.book_frames import symbol_name
from tests.load.figures import NothingMeasuredError, gained, quantile_of
from tests.load.processes import Service
from tests.load.report import Row

SYMBOLS = 200
RATE = 20_000
OUTAGE_S, OUTAGE_QUICK_S = 30.0, 5.0
RECOVERY_S, SETTLE_S = 8.0, 2.0
RESTART_TIMEOUT_S = 20.0
READ_INTERVAL_S = 0.02
RECOVERY_MAX_MS = 2_000
FRESH_MS = 5_000

_clock = SystemClock()


class WrittenEntries(Struct, frozen=True):
    """Stream contents after the outage, read every `READ_INTERVAL_S`.

    Attributes:
        first_ms: When the first entry of each stream was read, epoch ms.
        ages_ms: Age of each entry when it was read.
    """

    first_ms: list[int]
    ages_ms: list[int]


async def bench_outage(bench: BenchContext) -> None:
    outage_s = OUTAGE_QUICK_S if bench.quick else OUTAGE_S
    async with (
        bench.rig.sender(SYMBOLS, RATE) as port,
        bench.rig.service(port) as service,
    ):
        await _stop_redis(bench, service, outage_s)
        started_ms = _clock.now_ms()
        for node in bench.redis.nodes:
            await node.start()
        with anyio.fail_after(RESTART_TIMEOUT_S):
            await poll_until(lambda: _cluster_is_ok(bench.redis.nodes))
        up_ms = _clock.now_ms()
        written = await _written_entries(bench, bench.seconds(RECOVERY_S) + SETTLE_S)
        last = await service.read()
    recovery_ms = [max(0, first - up_ms) for first in written.first_ms]
    stale = sum(age > FRESH_MS for age in written.ages_ms)
    bench.report.table(
        f"Redis gone for {outage_s:g} s (all masters), {RATE:,} messages/s, {SYMBOLS} symbols",
        [
            Row("the cluster itself, start to all slots served", f"{up_ms - started_ms:,} ms"),
            Row(
                "from then to the first entry of the last stream",
                f"{max(recovery_ms):,} ms (p50 {quantile_of(recovery_ms, 0.5):,} ms)",
                f"at most {RECOVERY_MAX_MS:,} ms",
                max(recovery_ms) <= RECOVERY_MAX_MS,
            ),
            Row(
                "age of an entry when read",
                f"p50 {quantile_of(written.ages_ms, 0.5):,} ms, most {max(written.ages_ms):,} ms",
            ),
            Row(f"entries older than {FRESH_MS:,} ms when read", f"{stale}", "0", stale == 0),
            Row(
                "quotes replaced by newer ones, or dropped as too old, meanwhile",
                f"{last.total('s1_quotes_superseded_total'):,.0f}, "
                f"{last.total('s1_quotes_expired_total'):,.0f}",
            ),
        ],
        f"{len(written.ages_ms):,} entries compared, on {len(written.first_ms)} streams; windows "
        "of 1000 ms, so the first entry may wait so long for its window's end.",
    )


async def _stop_redis(bench: BenchContext, service: Service, seconds: float) -> None:
    """Stop all masters; fails unless messages arrive and nothing is published meanwhile."""
    for node in bench.redis.nodes:
        await node.stop()
    await anyio.sleep(1)
    before = await service.read()
    await anyio.sleep(seconds - 1)
    now = await service.read()
    if gained(before, now, "s1_publish_quotes_total"):
        raise NothingMeasuredError("quotes were published while Redis was away")
    if not gained(before, now, "s1_feed_messages_total"):
        raise NothingMeasuredError("no messages arrived while Redis was away")


async def _cluster_is_ok(nodes: tuple[ServerProcess, ...]) -> bool:
    answers = [await node.execute("CLUSTER", "INFO") for node in nodes]
    return all("cluster_state:ok" in str(answer) for answer in answers)


async def _written_entries(bench: BenchContext, seconds: float) -> WrittenEntries:
    """Read all streams again and again for *seconds*: ids do not tell when an entry was written."""
    written = WrittenEntries([], [])
    names = [InstrumentId(Venue.SPOT, parse_symbol(symbol_name(n))) for n in range(SYMBOLS)]
    last_ids = dict.fromkeys(map(quote_stream, names), "0")
    end_ms = _clock.monotonic_ms() + seconds * 1000
    async with connect_cluster(bench.redis.addresses) as client:
        while _clock.monotonic_ms() < end_ms:
            pipeline = client.pipeline()
            for stream, last_id in last_ids.items():
                pipeline.execute_command("XRANGE", stream, f"({last_id}", "+")
            replies = await pipeline.execute()
            now_ms = _clock.now_ms()
            for stream, entries in zip(tuple(last_ids), replies, strict=True):
                if entries and last_ids[stream] == "0":
                    written.first_ms.append(now_ms)
                written.ages_ms.extend(now_ms - int(fields["ts"]) for _, fields in entries)
                last_ids[stream] = entries[-1][0] if entries else last_ids[stream]
            await anyio.sleep(READ_INTERVAL_S)
    if len(written.first_ms) < SYMBOLS:
        raise NothingMeasuredError("a stream got no entry after the outage")
    return written
