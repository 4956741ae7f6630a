"""Window 0: throughput and latency of one process that publishes every update."""

from tests.load.bench_context import BenchContext
from tests.load.figures import (
    NothingMeasuredError,
    gained,
    latency_ms,
    service_figures,
    watch,
)
from tests.load.report import Row

SYMBOLS = 200
RATES = (40_000, 60_000, 80_000, 100_000)
PUBLISHED_PER_S = 60_000
CALM_RATE = 5_000


async def bench_updates(bench: BenchContext) -> None:
    rows: list[Row] = []
    best = 0.0
    for rate in bench.some(RATES):
        published, merged, share = await _published(bench, rate)
        best = max(best, published)
        rows.append(
            Row(
                f"sent {rate:,}/s",
                f"{published:,.0f}/s published, {merged:.1%} merged, {share:.0%} of a core",
            )
        )
    rows.append(
        Row(
            "most updates published/s",
            f"{best:,.0f}",
            f"at least {PUBLISHED_PER_S:,}",
            best >= PUBLISHED_PER_S,
        )
    )
    for read_ms in (10, 0):
        p50, p99 = await _latency(bench, read_ms)
        rows.append(
            Row(
                f"received to acknowledged at {CALM_RATE:,}/s, read every {read_ms} ms"
                if read_ms
                else f"received to acknowledged at {CALM_RATE:,}/s, read at once",
                f"p50 {p50:g} ms, p99 {p99:g} ms",
            )
        )
    bench.report.table(
        f"Window 0, every update, {SYMBOLS} symbols",
        rows,
        "Merged: more updates arrived than the process could publish, so only the newest of each "
        "stream was published. Received to acknowledged: the oldest quote of each batch, upper "
        "bounds of the histogram's buckets.",
    )


async def _published(bench: BenchContext, rate: int) -> tuple[float, float, float]:
    async with (
        bench.rig.sender(SYMBOLS, rate) as port,
        bench.rig.service(port, conflation_ms="0") as service,
    ):
        readings = await watch(service, bench.times(4), bench.seconds(1.5))
    figures = service_figures(readings)
    first, last = readings[0], readings[-1]
    messages = gained(first, last, "s1_feed_messages_total")
    merged = gained(first, last, "s1_feed_conflated_total") / messages
    return figures.published_s, merged, figures.share


async def _latency(bench: BenchContext, read_ms: int) -> tuple[float, float]:
    async with (
        bench.rig.sender(SYMBOLS, CALM_RATE) as port,
        bench.rig.service(port, conflation_ms="0", read_interval_ms=str(read_ms)) as service,
    ):
        readings = await watch(service, 1, bench.seconds(8))
    service_figures(readings)
    first, last = readings[0], readings[-1]
    if gained(first, last, "s1_feed_conflated_total"):
        raise NothingMeasuredError("updates were merged, so this is not every update")
    return latency_ms(first, last, 0.5), latency_ms(first, last, 0.99)
