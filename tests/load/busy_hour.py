"""An hour's orders on an accelerated clock, with every fault: `make busy-hour`, or

    python -m tests.load.busy_hour --orders 2600 --minutes 60 --rate 6 --seed 1

The simulator and the service share a clock that is *rate* times as fast as the system's. A service
places orders of every kind while others trade on the same account, prices move, the exchange loses
replies and events, its clock steps, Redis hangs, and the service is killed and started again. Then
the faults end, and each order, trade, position and balance of the simulator's books is compared
with what the service knows and has published. A second, shorter run is in hedge mode. Exit code 1:
something is different, or a fault never fired.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from msgspec import Struct

from tests.account_books import count_kinds
from tests.contract.signed_client import Account
from tests.load.busy_disturbances import Disturbances
from tests.load.busy_faults import FAULTS, Fault, FaultRunner, once_each
from tests.load.busy_traffic import BusyTraffic
from tests.load.report import say
from tests.order_site import Comparison, OrderSite, open_site
from tests.order_traffic import read_instruments

SYMBOLS = "BTCUSDT,ETHUSDT,SOLUSDT,BNBUSDT"
UPDATES_PER_S = "10"
FAULTS_SHARE = 0.8
"""Of the time: the last faults need some to fire."""

PATIENCE_SHARE = 0.5
QUIET_MS = 150_000
"""Of the clock: the last late execution, and its last lookup."""

ENDS_AT = (0.22, 0.44, 0.66)
"""Of the service, as shares of the time: `kill -9` twice, then SIGTERM. The next one starts on its
state at once.
"""

UP_SHARE = 0.1
"""Of the time: each service runs for so long at least, however late it was up."""

SHOWN_MAX = 40
PROGRESS_MS = 300_000


class Plan(Struct, frozen=True, kw_only=True):
    title: str
    orders: int
    minutes: float
    faults: tuple[Fault, ...]
    hedged: bool

    @property
    def duration_ms(self) -> float:
        return self.minutes * 60_000


class BusyHour:
    """Attributes:
    happened: What was done to the service besides the armed faults.
    lasted_ms: On the clock.
    """

    def __init__(self, site: OrderSite, chance: random.Random, plan: Plan) -> None:
        self.site = site
        self.plan = plan
        self.faults = FaultRunner(site.sim, site.clock, chance, plan.faults)
        self.happened: Counter[str] = Counter()
        self.traffic: BusyTraffic | None = None
        self.lasted_ms = 0.0
        self.log = ""
        self._chance = chance
        self._began_ms = 0.0
        self._begun = anyio.Event()

    async def run(self) -> None:
        """Until all orders are placed and all faults have fired; the service runs on."""
        site, plan, clock = self.site, self.plan, self.site.clock
        instruments = await read_instruments(site.others, tuple(SYMBOLS.split(",")))
        traffic = BusyTraffic(site, self._chance, instruments, hedged=plan.hedged)
        self.traffic = traffic
        disturbances = Disturbances(site, self._chance, instruments, self.happened)
        await site.served()
        await site.known()
        self._began_ms = clock.monotonic_ms()
        self._begun.set()
        over = anyio.Event()
        async with anyio.create_task_group() as background:
            for each in disturbances.tasks(plan.duration_ms):
                background.start_soon(each)
            background.start_soon(self._show_progress, traffic)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(traffic.run, plan.orders, plan.duration_ms, over)
                patience_ms = plan.duration_ms * PATIENCE_SHARE
                await self.faults.run(plan.duration_ms * FAULTS_SHARE, patience_ms)
                await clock.sleep_ms(self._began_ms + plan.duration_ms - clock.monotonic_ms())
                over.set()
            background.cancel_scope.cancel()
        self.lasted_ms = clock.monotonic_ms() - self._began_ms

    async def serve(self) -> None:
        """End the service now and then, and start the next one on its state."""
        for number, share in enumerate(ENDS_AT):
            async with self.site.serving(SYMBOLS) as service:
                await self._begun.wait()
                up_ms, duration_ms = self.site.clock.monotonic_ms(), self.plan.duration_ms
                end_ms = max(self._began_ms + share * duration_ms, up_ms + UP_SHARE * duration_ms)
                await self.site.clock.sleep_ms(end_ms - up_ms)
                if number < len(ENDS_AT) - 1:
                    self.happened["service killed"] += 1
                    service.process.kill()
                    await service.process.wait()
                else:
                    self.happened["service stopped"] += 1
                    await service.stop()
                self.log += service.output
        async with self.site.serving(SYMBOLS) as service:
            try:
                await anyio.sleep_forever()
            finally:
                self.log += service.output

    def seen(self) -> dict[str, int]:
        """What happened besides the armed faults, as far as the service has noticed it."""
        assert self.traffic is not None
        refused = sum(n for name, n in self.traffic.results.items() if "-1021" in name)
        return {
            **self.happened,
            "an expired listen key was noticed": self.log.count("listenKey has expired"),
            "-1021 was answered to an order": refused,
        }

    async def _show_progress(self, traffic: BusyTraffic) -> None:
        while True:
            await self.site.clock.sleep_ms(PROGRESS_MS)
            minute = (self.site.clock.monotonic_ms() - self._began_ms) / 60_000
            sys.stderr.write(f"minute {minute:.0f}: {dict(traffic.placed)} {dict(self.happened)}\n")


async def play(plan: Plan, options: argparse.Namespace) -> bool:
    """Run *plan* and print its report; whether everything agrees and every fault fired."""
    began = time.monotonic()
    with TemporaryDirectory() as directory:
        async with open_site(Path(directory), SYMBOLS, UPDATES_PER_S, options.rate) as site:
            await site.give_spot(*(symbol.removesuffix("USDT") for symbol in SYMBOLS.split(",")))
            if plan.hedged:
                await _change_to_hedge_mode(site)
            hour = BusyHour(site, random.Random(options.seed), plan)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hour.serve)
                await hour.run()
                fired, unfired = await hour.faults.counts(), await hour.faults.unfired()
                await site.sim.control("DELETE", "/sim/faults")
                quiet = {"query_lag_ms": 0, "liquidity": "1"}
                await site.sim.control("POST", "/sim/matching", quiet)
                await site.clock.sleep_ms(QUIET_MS)
                found, answer = await site.settled(options.settle)
                tasks.cancel_scope.cancel()
            if options.log:
                await anyio.Path(f"{options.log}.{plan.title.split()[0]}").write_text(hour.log)
    unfired += [name for name, count in hour.seen().items() if not count]
    _print_result(hour, found, fired, time.monotonic() - began)
    for line in (*unfired, *found.differences[:SHOWN_MAX]):
        say(f"  {line}")
    return _verdict(found, unfired, answer)


async def _change_to_hedge_mode(site: OrderSite) -> None:
    account = Account(site.others, clock=site.clock)
    body = account.signed(dualSidePosition="true")
    status, answer = await account.send("POST", "/fapi/v1/positionSide/dual", body=body)
    assert status == 200, answer


def _verdict(found: Comparison, unfired: Sequence[str], answer: Mapping[str, Any]) -> bool:
    agrees = bool(answer.get("agrees"))
    say(str(answer.get("summary", answer)))
    say(
        f"differences: {len(found.differences)}; faults that never fired: {len(unfired)}; "
        f"the last reconciliation {'agrees' if agrees else 'does not agree'}\n"
    )
    return agrees and not found.differences and not unfired


def _print_result(
    hour: BusyHour, found: Comparison, fired: Mapping[str, int], took_s: float
) -> None:
    assert hour.traffic is not None
    minutes = hour.lasted_ms / 60_000
    say(f"{hour.plan.title}: {minutes:.0f} minutes of the clock; {took_s:.0f} s with start and end")
    say("\n| compared one by one | exchange | service | different |\n|---|---:|---:|---:|")
    for row in found.rows:
        say(f"| {row.what} | {row.exchange} | {row.service} | {len(row.differences)} |")
    _print_counts("fault", "fired", {**fired, **hour.seen()})
    _print_counts("result", "", dict(sorted(hour.traffic.results.items())))
    kinds = count_kinds(found.books.orders, ("venue", "type", "status"))
    _print_counts("order at the exchange", "", {"all": len(found.books.orders), **kinds})
    say(f"trades that were first taken for foreign: {found.ledger.attributed}")


def _print_counts(title: str, column: str, counts: Mapping[str, int]) -> None:
    say(f"\n| {title} | {column} |\n|---|---:|")
    for name, count in counts.items():
        say(f"| {name} | {count} |")


async def main(options: argparse.Namespace) -> int:
    one_way = Plan(
        title="one-way mode",
        orders=options.orders,
        minutes=options.minutes,
        faults=FAULTS,
        hedged=False,
    )
    hedged = Plan(
        title="hedge mode",
        orders=options.orders // 3,
        minutes=options.minutes / 3,
        faults=once_each(FAULTS),
        hedged=True,
    )
    plans = {"both": (one_way, hedged), "one-way": (one_way,), "hedge": (hedged,)}[options.mode]
    return int(not all([await play(plan, options) for plan in plans]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.busy_hour")
    parser.add_argument("--orders", type=int, default=2_600)
    parser.add_argument("--minutes", type=float, default=60.0, help="of the accelerated clock")
    parser.add_argument("--rate", type=float, default=6.0, help="of the accelerated clock")
    parser.add_argument("--mode", choices=("both", "one-way", "hedge"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=float, default=180.0, help="s, then it is given up")
    parser.add_argument("--log", default="", help="file for the logs of the services")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(anyio.run(main, arguments()))
