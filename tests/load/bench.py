"""The benchmarks: `make bench`, or one of them with `make bench ARGS="--only messages"`.

They print Markdown tables with figures, targets and results. The sender and Redis use one core, the
service another. A missed target is marked in the table; the exit code is 1 only if something could
not be measured.
"""

import argparse
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from tests.load.bench_consumers import bench_consumers
from tests.load.bench_context import BenchContext
from tests.load.bench_door import bench_door
from tests.load.bench_estimates import bench_estimates
from tests.load.bench_messages import bench_messages
from tests.load.bench_outage import bench_outage
from tests.load.bench_scaling import bench_shards, bench_symbols
from tests.load.bench_takeover import bench_takeover
from tests.load.bench_treasury import bench_treasury
from tests.load.bench_updates import bench_updates
from tests.load.bench_windows import bench_windows
from tests.load.bench_writers import bench_writers
from tests.load.figures import NothingMeasuredError
from tests.load.machine import describe, divide_cores, on_core
from tests.load.processes import Rig, compile_sources
from tests.load.report import Report, say

MASTERS = 3


async def _writers(bench: BenchContext) -> None:
    # Both writers run in this process.
    with on_core(bench.rig.cores.service[0]):
        await bench_writers(bench)


async def _estimates(bench: BenchContext) -> None:
    with on_core(bench.rig.cores.service[0]):
        await bench_estimates(bench)


BENCHES: dict[str, Callable[[BenchContext], Awaitable[None]]] = {
    "messages": bench_messages,
    "updates": bench_updates,
    "windows": bench_windows,
    "writers": _writers,
    "estimates": _estimates,
    "outage": bench_outage,
    "symbols": bench_symbols,
    "shards": bench_shards,
    "consumers": bench_consumers,
    "takeover": bench_takeover,
    "treasury": bench_treasury,
    "door": bench_door,
}


async def run(names: Sequence[str], *, quick: bool) -> int:
    """Run the benchmarks *names* in turn; returns the exit code."""
    cores = divide_cores()
    report = Report()
    say(describe(cores))
    if cores.shared:
        say("\nOnly one core is available: these figures mean little.")
    with TemporaryDirectory(prefix="chimera-bench-redis-") as directory, on_core(cores.sender):
        redis = EmbeddedRedis(Path(directory), binary=find_redis_server(""), masters=MASTERS)
        async with redis:
            addresses = ",".join(map(str, redis.addresses))
            await compile_sources()
            bench = BenchContext(Rig(cores, addresses), redis, report, quick)
            for name in names:
                await _run_one(bench, name)
    return report.end()


async def _run_one(bench: BenchContext, name: str) -> None:
    for node in bench.redis.nodes:
        await node.execute("FLUSHALL")
    gc.collect()
    try:
        await BENCHES[name](bench)
    except (NothingMeasuredError, RuntimeError, TimeoutError) as error:
        bench.report.problem(f"{name}: {str(error) or type(error).__name__}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").strip())
    parser.add_argument("--quick", action="store_true", help="shorter and less exact")
    parser.add_argument("--only", choices=list(BENCHES), action="append", metavar="NAME")
    given = parser.parse_args(arguments)
    names = given.only or list(BENCHES)
    code = anyio.run(lambda: run(names, quick=given.quick), backend_options={"use_uvloop": True})
    sys.exit(code)


if __name__ == "__main__":
    main()
