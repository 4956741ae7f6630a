"""Cost by number of symbols and by number of shards."""

from contextlib import AsyncExitStack
from itertools import pairwise
from statistics import median

import anyio

from tests.load.bench_context import BenchContext
from tests.load.figures import Figures, NothingMeasuredError, gained, service_figures, watch
from tests.load.processes import Reading, Service

SYMBOL_COUNTS = (10, 100, 1_000)
SHARD_COUNTS = (1, 2, 4)
SHARDED_SYMBOLS = 200
PACE = 20_000


async def bench_symbols(bench: BenchContext) -> None:
    """Print cost for 10, 100 and 1,000 symbols."""
    lines = [("symbols", "unpaced us/message", "messages/s", f"share at {PACE:,}/s", "RSS")]
    for symbols in bench.some(SYMBOL_COUNTS):
        flood, _ = await _one(bench, symbols, 0)
        paced, last = await _one(bench, symbols, PACE)
        lines.append(
            (
                f"{symbols:,}",
                f"{flood.us_per_message:.2f}",
                f"{flood.messages_s:,.0f}",
                f"{paced.share:.1%}",
                f"{last.rss_mib:.0f} MiB",
            )
        )
    bench.report.grid(
        "Cost over symbols, window 1000 ms",
        lines,
        "Publishing costs per symbol and window, whatever the rate; the rest costs per message.",
    )


async def bench_shards(bench: BenchContext) -> None:
    """Print cost for 1, 2 and 4 processes that share the symbols."""
    cores = bench.rig.cores.service
    lines = [
        ("shards", "messages/s in all", "us/message", f"cores used at {PACE:,}/s", "RSS in all")
    ]
    for shards in bench.some(SHARD_COUNTS):
        flood = await _sharded(bench, shards, 0)
        paced = await _sharded(bench, shards, PACE)
        lines.append(
            (
                str(shards),
                f"{flood[0]:,.0f}",
                f"{flood[1]:.2f}",
                f"{paced[2]:.1%}",
                f"{paced[3]:.0f} MiB",
            )
        )
    bench.report.grid(
        f"Cost over shards, window 1000 ms, {SHARDED_SYMBOLS} symbols",
        lines,
        f"The shards of this run share {len(cores)} core{'s' * (len(cores) > 1)}.",
    )


async def _one(bench: BenchContext, symbols: int, rate: int) -> tuple[Figures, Reading]:
    async with (
        bench.rig.sender(symbols, rate) as port,
        bench.rig.service(port) as service,
    ):
        readings = await watch(service, bench.times(3), bench.seconds(2))
    return service_figures(readings), readings[-1]


async def _sharded(
    bench: BenchContext, shards: int, rate: int
) -> tuple[float, float, float, float]:
    """Messages/s, us per message, cores used and MiB of all shards together."""
    cores = bench.rig.cores.service
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(bench.rig.sender(SHARDED_SYMBOLS, rate))
        services = [
            await stack.enter_async_context(
                bench.rig.service(port, core=cores[number % len(cores)], shard=f"{number}/{shards}")
            )
            for number in range(shards)
        ]
        rounds = [await _read_all(services)]
        for _ in range(bench.times(3)):
            await anyio.sleep(bench.seconds(2))
            rounds.append(await _read_all(services))
    seconds = [after[0].at_s - before[0].at_s for before, after in pairwise(rounds)]
    messages = [_gained(before, after) for before, after in pairwise(rounds)]
    used = [
        sum(now.cpu_s - then.cpu_s for then, now in zip(before, after, strict=True))
        for before, after in pairwise(rounds)
    ]
    if not all(messages):
        raise NothingMeasuredError(f"{shards} shards: no message arrived")
    return (
        median(count / length for count, length in zip(messages, seconds, strict=True)),
        median(cpu / count * 1e6 for cpu, count in zip(used, messages, strict=True)),
        median(cpu / length for cpu, length in zip(used, seconds, strict=True)),
        sum(reading.rss_mib for reading in rounds[-1]),
    )


async def _read_all(services: list[Service]) -> list[Reading]:
    return [await service.read() for service in services]


def _gained(before: list[Reading], after: list[Reading]) -> float:
    return sum(
        gained(then, now, "s1_feed_messages_total") for then, now in zip(before, after, strict=True)
    )
