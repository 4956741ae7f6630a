"""The treasury: commits, transfers end to end, and a long ledger."""

from tests.load.bench_context import BenchContext
from tests.load.bench_treasury_appends import bench_treasury_appends
from tests.load.bench_treasury_ledger import bench_treasury_ledger
from tests.load.bench_treasury_transfers import bench_treasury_transfers


async def bench_treasury(bench: BenchContext) -> None:
    await bench_treasury_appends(bench)
    await bench_treasury_transfers(bench)
    await bench_treasury_ledger(bench)
