"""An hour's orders in some minutes, with every fault: `make busy-hour`, or

    python -m tests.load.busy_hour --orders 2000 --seed 1

A service places orders of every kind while others trade on the same account, prices move, the
exchange loses replies and events, and the service is killed and started again. Then the faults end,
and each order, trade, position and balance of the simulator's books is compared with what the
service knows and has published. Exit code 1: something is different, or a fault never fired.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from tests.account_books import count_kinds
from tests.foreign_orders import ForeignTrader
from tests.load.busy_faults import FaultRunner
from tests.load.report import say
from tests.order_site import Comparison, OrderSite, open_site
from tests.order_traffic import Instrument, OrderMaker, Quote, read_instruments, read_quote

SYMBOLS = "BTCUSDT,ETHUSDT,SOLUSDT,BNBUSDT,XRPUSDT,ADAUSDT,DOGEUSDT,LTCUSDT"
OUR_WORKERS = 10
FOREIGN_WORKERS = 2
CANCEL_SHARE = 0.5
MOVE_S = 0.25
MOVE_BPS = 90
FAULT_GAP_S = 0.7
KILLS = 2
QUOTE_AGE_MAX_S = 1.0
SHOWN_MAX = 40


class BusyHour:
    def __init__(self, site: OrderSite, chance: random.Random, orders: int) -> None:
        self.site = site
        self.chance = chance
        self.maker = OrderMaker(chance)
        self.faults = FaultRunner(site.sim, chance)
        self.instruments: list[Instrument] = []
        self.results: Counter[str] = Counter()
        self.placed: Counter[str] = Counter()
        self.starts = 0
        self._orders = orders
        self._others = ForeignTrader(site.others)
        self._quotes: dict[Instrument, Quote] = {}
        self._read_at: dict[Instrument, float] = {}
        self._up = anyio.Event()
        self._over = anyio.Event()

    async def run(self) -> None:
        """Until all orders are placed and all faults have fired; the service runs on."""
        self.instruments = await read_instruments(self.site.others, tuple(SYMBOLS.split(",")))
        async with anyio.create_task_group() as background:
            background.start_soon(self._move_prices)
            background.start_soon(self._change_matching)
            background.start_soon(self._expire_listen_keys)
            await self._up.wait()
            await self.site.known()
            async with anyio.create_task_group() as traffic:
                traffic.start_soon(self.faults.run, FAULT_GAP_S)
                for _ in range(OUR_WORKERS):
                    traffic.start_soon(self._place_ours)
                for _ in range(FOREIGN_WORKERS):
                    traffic.start_soon(self._place_foreign)
            background.cancel_scope.cancel()
        self._over.set()

    async def serve(self) -> None:
        """Kill the service now and then, and start the next one on its state."""
        while True:
            async with self.site.serving(SYMBOLS) as service:
                self.starts += 1
                self._up.set()
                if self.starts <= KILLS:
                    with anyio.move_on_after(self.chance.uniform(15, 40)):
                        await self._over.wait()
                    if not self._over.is_set():
                        self._up = anyio.Event()
                        service.process.kill()
                        await service.process.wait()
                        continue
                await anyio.sleep_forever()

    async def _place_ours(self) -> None:
        while self.placed["ours"] < self._orders // 2 or not self.faults.done.is_set():
            self.placed["ours"] += 1
            await self._up.wait()
            venue, kind = self.maker.next_venue_of_ours()
            instrument = self._instrument(venue)
            quote = await self._quote(instrument)
            request = self.maker.ours(kind, instrument, quote)
            result = await self.site.place(request)
            if result is None:
                self.results["the service was killed meanwhile"] += 1
                continue
            self.results[result.reply or result.error.partition(":")[0]] += 1
            if self.chance.random() < CANCEL_SHARE and "Refused" not in result.reply:
                await self._cancel(request.client_id)

    async def _cancel(self, client_id: str) -> None:
        result = await self.site.cancel(client_id)
        if result is None:
            name = "the service was killed meanwhile"
        else:
            name = result.reply or result.error.partition(":")[0] or "had ended"
        self.results[f"cancel: {name}"] += 1

    async def _place_foreign(self) -> None:
        while self.placed["foreign"] < self._orders // 2 or not self.faults.done.is_set():
            self.placed["foreign"] += 1
            number = self.placed["foreign"]
            venue, kind = self.maker.next_venue_of_others()
            instrument = self._instrument(venue)
            quote = await self._quote(instrument)
            body = self.maker.foreign(kind, instrument, quote, self._foreign_id(number))
            by_web = number % 2 == 0
            place = self._others.place_by_web if by_web else self._others.place_by_api
            done = await place(body)
            source, end = "web" if by_web else "API", "placed" if done else "refused"
            self.results[f"foreign, {source}: {end}"] += 1
            await anyio.sleep(0.1)

    def _foreign_id(self, number: int) -> str:
        """Ids are used again, some have our prefix, some are left to the exchange."""
        match number % 5:
            case 0:
                return f"web-{number % 40}"
            case 1:
                return ""
            case 2:
                return f"s4-{number}"
            case 3:
                return f"s1-lost-{number}" if number % 20 == 3 else f"x-{number}"
            case _:
                return f"autoclose-{number}"

    async def _move_prices(self) -> None:
        while True:
            await anyio.sleep(MOVE_S)
            chosen = self.chance.choice(self.instruments)
            move = self.chance.randint(-MOVE_BPS, MOVE_BPS)
            await self.site.sim.control(
                "POST",
                "/sim/price",
                {"venue": chosen.venue, "symbol": chosen.symbol, "move_bps": move},
            )

    async def _change_matching(self) -> None:
        while True:
            body = {
                "query_lag_ms": self.chance.choice([0, 0, 500, 1500, 3000]),
                "gtx_expires": self.chance.random() < 0.5,
                "algo_event_first": self.chance.random() < 0.5,
                "child_takes_client_id": self.chance.random() < 0.5,
                "pays_in_bnb": self.chance.random() < 0.3,
                "liquidity": self.chance.choice(["1", "1", "0.05"]),
            }
            await self.site.sim.control("POST", "/sim/matching", body)
            self.results[f"query lag {body['query_lag_ms']} ms"] += 1
            await anyio.sleep(8)

    async def _expire_listen_keys(self) -> None:
        while True:
            await anyio.sleep(25)
            await self.site.sim.control("POST", "/sim/user-streams", {"validity_ms": 1000})
            await anyio.sleep(2)
            await self.site.sim.control("POST", "/sim/user-streams", {"validity_ms": 3_600_000})
            self.results["listen key expired"] += 1

    async def _quote(self, instrument: Instrument) -> Quote:
        """Read at most once a second, for the limit of request weight."""
        if time.monotonic() - self._read_at.get(instrument, 0.0) > QUOTE_AGE_MAX_S:
            self._read_at[instrument] = time.monotonic()
            self._quotes[instrument] = await read_quote(self.site.others, instrument)
        if instrument not in self._quotes:  # another task is reading the first one
            self._quotes[instrument] = await read_quote(self.site.others, instrument)
        return self._quotes[instrument]

    def _instrument(self, venue: str) -> Instrument:
        return self.chance.choice([each for each in self.instruments if each.venue == venue])


@asynccontextmanager
async def busy_site(directory: Path) -> AsyncIterator[OrderSite]:
    async with open_site(directory, SYMBOLS) as site:
        await site.give_spot(*(symbol.removesuffix("USDT") for symbol in SYMBOLS.split(",")))
        yield site


async def main(options: argparse.Namespace) -> int:
    began = time.monotonic()
    with TemporaryDirectory() as directory:
        async with busy_site(Path(directory)) as site, anyio.create_task_group() as tasks:
            hour = BusyHour(site, random.Random(options.seed), options.orders)
            tasks.start_soon(hour.serve)
            await hour.run()
            busy_s = time.monotonic() - began
            fired, unfired = await hour.faults.counts(), await hour.faults.unfired()
            await site.sim.control("DELETE", "/sim/faults")
            await site.sim.control("POST", "/sim/matching", {"query_lag_ms": 0, "liquidity": "1"})
            try:
                found, answer = await site.settled(options.settle)
            finally:
                if options.log and site.service:
                    await anyio.Path(options.log).write_text(site.service.output)
            settled_s = time.monotonic() - began - busy_s
            tasks.cancel_scope.cancel()
    print_result(hour, found, fired, answer)
    say(f"busy for {busy_s:.0f} s, settled after {settled_s:.0f} s more")
    for line in (*unfired, *found.lines[:SHOWN_MAX]):
        say(f"  {line}")
    agrees = bool(answer.get("agrees"))
    say(
        f"differences: {len(found.lines)}; faults that never fired: {len(unfired)}; "
        f"the last reconciliation {'agrees' if agrees else 'does not agree'}"
    )
    return int(bool(found.lines or unfired or not agrees))


def print_result(
    hour: BusyHour, found: Comparison, fired: dict[str, int], answer: dict[str, Any]
) -> None:
    books = found.books
    say("| orders at the exchange | |\n|---|---|")
    say(f"| in all | {len(books.orders)} |")
    for name, count in sorted(count_kinds(books.orders, ("venue", "type", "status")).items()):
        say(f"| {name} | {count} |")
    say(f"\n| compared | |\n|---|---|\n| requests of ours | {len(hour.site.sent)} |")
    say(f"| trades | {len(books.trades)} |\n| open orders | {len(books.open_orders())} |")
    say(f"| positions | {len(books.positions)} |")
    say(f"| entries of orders:executed | {len(found.executed)} |")
    say(f"| trades that were first taken for foreign | {found.ledger.attributed} |")
    say(f"| starts of the service | {hour.starts} |")
    say("\n| results | |\n|---|---|")
    for name, count in sorted(hour.results.items()):
        say(f"| {name} | {count} |")
    say("\n| fault | fired |\n|---|---|")
    for name, count in fired.items():
        say(f"| {name} | {count} |")
    say(f"\n{answer.get('summary', answer)}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.busy_hour")
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=float, default=180.0, help="s, then it is given up")
    parser.add_argument("--log", default="", help="file for the log of the last service")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(anyio.run(main, arguments()))
