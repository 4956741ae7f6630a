"""The simulator with large balances, weight limits out of reach and a low market data rate.

    python -m tests.load.large_exchange

Prints one JSON line: its addresses.
"""

import sys
from decimal import Decimal

import anyio
import msgspec

from chimera_s1.adapters.simulator.config import AccountConfig, SimulatorConfig
from chimera_s1.adapters.simulator.limits.rules import Bucket
from chimera_s1.adapters.simulator.simulator import Simulator
from chimera_s1.adapters.system.system_clock import SystemClock

SYMBOL = "BTCUSDT"
RATE = 5.0
USDT = Decimal(1_000_000_000)
WEIGHT = 100_000_000


async def run() -> None:
    config = SimulatorConfig(
        symbols=(SYMBOL,),
        rate=RATE,
        account=AccountConfig(spot_usdt=USDT, fut_usdt=USDT),
        limits=dict.fromkeys(Bucket, WEIGHT),
    )
    async with anyio.create_task_group() as tasks:
        addresses = await tasks.start(Simulator(config, SystemClock()).run)
        sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(run, backend_options={"use_uvloop": True})
