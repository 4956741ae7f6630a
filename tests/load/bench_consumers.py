"""End to end under load: WebSocket, service, stream, consumer groups in separate processes.

First with one fast consumer, then with a slow and a dead one beside it. Streams must stay bounded
and the lag visible; the publisher and the fast consumer must not be affected.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import anyio
from msgspec import Struct

from chimera_s1.adapters.redis.cluster_client import ClusterClient, connect_cluster
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.domain.identifiers import Venue
from tests.load.bench_context import BenchContext
from tests.load.consumer import stream_of
from tests.load.figures import (
    NothingMeasuredError,
    gained,
    latency_ms,
    quantile_of,
    service_figures,
)
from tests.load.processes import Child, Service, child
from tests.load.report import Row

SYMBOLS = 20
RATE = 50_000
WINDOW_MS = 50
MAXLEN = 200
TRIMMED_BY = 100
"""`MAXLEN ~` removes whole nodes of a stream's radix tree, by default 100 entries."""

STEADY, SLOW, DEAD = "steady", "slow", "dead"


class Measurement(Struct, frozen=True):
    """Figures of one phase.

    Attributes:
        ages_ms: Ages of the entries read by the steady consumer, from the venue's event time.
        published: Entries acknowledged to the service meanwhile.
        merged: Number of windows merged because of delays.
        publish_p99_ms: From a window's end to its acknowledgement.
    """

    ages_ms: list[int]
    read: int
    published: float
    merged: float
    publish_p99_ms: float


async def bench_consumers(bench: BenchContext) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        port = await enter(bench.rig.sender(SYMBOLS, RATE, "perp"))
        service = await enter(
            bench.rig.service(
                port, venues="perp", conflation_ms=str(WINDOW_MS), stream_maxlen=str(MAXLEN)
            )
        )
        steady = await enter(_consumer(bench, STEADY, "steady"))
        await steady.line()
        seconds = 2 if bench.quick else 8
        alone = await _measure(service, steady, seconds)
        slow = await enter(_consumer(bench, SLOW, "slow"))
        dead = await enter(_consumer(bench, DEAD, "dying"))
        dead_taken = len((await dead.line())["ages_ms"])
        with anyio.fail_after(5):
            await dead.process.wait()
        await slow.line()
        disturbed = await _measure(service, steady, seconds * 2)
        slow_ages = (await slow.line())["ages_ms"]
        client = await enter(connect_cluster(bench.redis.addresses))
        longest, groups = await _streams(client)
    rows = [*_compared(alone, disturbed), *_bounded(longest), *_lags(groups, dead_taken)]
    if slow_ages:
        rows.append(Row("slow consumer: age of what it reads", _quantiles(slow_ages)))
    bench.report.table(
        f"End to end under load: {RATE:,} messages/s, {SYMBOLS} symbols, window {WINDOW_MS} ms",
        rows,
        "Ages are measured from the venue's event time (the time of sending) to the consumer's "
        f"receipt; a window adds up to {WINDOW_MS} ms, a read up to 10 ms. All consumers run on "
        "the sender's core.",
    )


def _consumer(bench: BenchContext, group: str, kind: str) -> AbstractAsyncContextManager[Child]:
    return child(
        bench.rig.cores.sender,
        "tests.load.consumer",
        *("--redis", bench.rig.redis, "--group", group, "--kind", kind),
        *("--symbols", str(SYMBOLS)),
    )


async def _measure(service: Service, steady: Child, seconds: int) -> Measurement:
    # Skip entries that were read before this phase began.
    began_ms = SystemClock().now_ms()
    while (await steady.line())["at_ms"] < began_ms:
        pass
    before = await service.read()
    ages: list[int] = []
    for _ in range(seconds):
        ages += (await steady.line())["ages_ms"]
    now = await service.read()
    if not ages:
        raise NothingMeasuredError("the steady consumer read nothing")
    service_figures([before, now])
    return Measurement(
        ages,
        len(ages),
        gained(before, now, "s1_publish_quotes_total"),
        gained(before, now, "s1_windows_merged_total"),
        latency_ms(before, now, 0.99),
    )


def _compared(alone: Measurement, disturbed: Measurement) -> list[Row]:
    rows: list[Row] = []
    for name, phase in (("alone", alone), ("beside a slow and a dead one", disturbed)):
        whole = abs(phase.read - phase.published) <= 2 * SYMBOLS
        rows += [
            Row(f"steady consumer {name}: end to end", _quantiles(phase.ages_ms)),
            Row(
                f"steady consumer {name}: entries read of those published",
                f"{phase.read:,} of {phase.published:,.0f}",
                "all, give or take a window",
                whole,
            ),
            Row(
                f"publisher {name}: window's end to acknowledgement",
                f"p99 {phase.publish_p99_ms:g} ms, {phase.merged:g} windows merged",
                "none merged",
                phase.merged == 0,
            ),
        ]
    return rows


def _bounded(longest: int) -> list[Row]:
    bound = MAXLEN + TRIMMED_BY
    return [Row("longest stream", f"{longest} entries", f"at most {bound}", longest <= bound)]


def _lags(groups: dict[str, dict[str, int]], dead_taken: int) -> list[Row]:
    rows = [
        Row(
            f"group `{name}`, worst stream",
            f"{group['lag']} entries behind, {group['pending']} not acknowledged",
        )
        for name, group in groups.items()
    ]
    pending = groups[DEAD]["total_pending"]
    return [
        *rows,
        Row("taken by the dead consumer, still pending", f"{pending} of {dead_taken}"),
    ]


async def _streams(client: ClusterClient) -> tuple[int, dict[str, dict[str, int]]]:
    """Length of the longest stream; worst lag and pending entries of each group."""
    longest = 0
    groups = {name: {"lag": 0, "pending": 0, "total_pending": 0} for name in (STEADY, SLOW, DEAD)}
    for number in range(SYMBOLS):
        stream = stream_of(number, Venue.PERP)
        longest = max(longest, int(await client.xlen(stream)))
        infos: Any = await client.xinfo_groups(stream)
        for info in infos:
            group = groups[info["name"]]
            group["lag"] = max(group["lag"], info["lag"] or 0)
            group["pending"] = max(group["pending"], info["pending"])
            group["total_pending"] += info["pending"]
    return longest, groups


def _quantiles(ages_ms: Sequence[int]) -> str:
    return f"p50 {quantile_of(ages_ms, 0.5)} ms, p99 {quantile_of(ages_ms, 0.99)} ms"
