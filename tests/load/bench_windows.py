"""Windows of 1,000 symbols: publish latency and memory."""

from math import inf

import anyio

from tests.load.bench_context import BenchContext
from tests.load.figures import gained, latency_ms, service_figures, watch
from tests.load.processes import Reading
from tests.load.report import Row

SYMBOLS = 1_000
CALM_RATE = 5_000
LATE_MS = 100
MEMORY_MIB = 90
FLAT_MIB = 2
BUCKET_BOUND_MS = 5_000


async def bench_windows(bench: BenchContext) -> None:
    rows: list[Row] = []
    for name, rate in (("calm, 5,000/s", CALM_RATE), ("burst, unpaced", 0)):
        async with (
            bench.rig.sender(SYMBOLS, rate) as port,
            bench.rig.service(port) as service,
        ):
            # Skip the first windows: the service still subscribes and connects.
            await anyio.sleep(bench.seconds(2))
            readings = await watch(service, 3 if bench.quick else 20, 1.0)
        figures = service_figures(readings)
        rows += _late(name, readings)
        rows.append(Row(f"{name}: entries published/s", f"{figures.published_s:,.0f}"))
        rows.append(Row(f"{name}: messages/s", f"{figures.messages_s:,.0f}"))
        rows += _memory(name, readings)
    bench.report.table(
        f"Windows of 1000 ms, {SYMBOLS:,} symbols",
        rows,
        "Window's end to the last acknowledgement: upper bounds of the histogram's buckets.",
    )


def _late(name: str, readings: list[Reading]) -> list[Row]:
    first, last = readings[0], readings[-1]
    p50, p99 = latency_ms(first, last, 0.5), latency_ms(first, last, 0.99)
    windows = gained(first, last, "s1_windows_total")
    merged = gained(first, last, "s1_windows_merged_total")
    return [
        Row(
            f"{name}: window's end to last acknowledgement",
            f"p50 {_bound(p50)}, p99 {_bound(p99)} ({windows:g} windows, {merged:g} merged)",
            f"p99 at most {LATE_MS} ms",
            p99 <= LATE_MS and not merged,
        )
    ]


def _memory(name: str, readings: list[Reading]) -> list[Row]:
    course = [reading.rss_mib for reading in readings]
    shown = course[:: max(1, len(course) // 5)]
    growth = course[-1] - course[len(course) // 4]
    return [
        Row(
            f"{name}: memory (RSS)",
            f"{max(course):.0f} MiB",
            f"at most {MEMORY_MIB} MiB",
            max(course) <= MEMORY_MIB,
        ),
        Row(
            f"{name}: its course over {readings[-1].at_s - readings[0].at_s:.0f} s",
            " ".join(f"{mib:.1f}" for mib in shown) + " MiB",
            f"flat: grows at most {FLAT_MIB} MiB",
            growth <= FLAT_MIB,
        ),
    ]


def _bound(latency: float) -> str:
    return f"over {BUCKET_BOUND_MS} ms" if latency == inf else f"{latency:g} ms"
