"""The treasury: what a commit costs, transfers from the request to the answer, and a
long ledger.
"""

from tests.load.bench_treasury_appends import bench_treasury_appends
from tests.load.bench_treasury_ledger import bench_treasury_ledger
from tests.load.bench_treasury_transfers import bench_treasury_transfers
from tests.load.stage import Stage


async def bench_treasury(stage: Stage) -> None:
    """Print the tables."""
    await bench_treasury_appends(stage)
    await bench_treasury_transfers(stage)
    await bench_treasury_ledger(stage)
