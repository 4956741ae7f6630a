"""How long it takes until lost replies are settled: `make bench-lost`, or

    python -m tests.load.lost_replies --lost 20 60 200
    python -m tests.load.lost_replies --instances 2 --transfers 320 --share 0.3

Real services against the simulator, which executes transfers and loses their replies. With
`--instances`, all instances share one ArangoDB (its double) and send at the same time. Prints the
seconds from the first request until no transfer is PENDING, and what that took: requests
to the exchange, and their weight.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx2
from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.system.file_token_store import write_token_file
from tests.arango_double import arango_double
from tests.contract.service_process import service_process, simulated
from tests.contract.treasury_service_client import TOKENS, TRADER_TOKEN, TRANSFER
from tests.load.report import say
from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client

POST = "POST /sapi/v1/asset/transfer"
HISTORY = "GET /sapi/v1/asset/transfer"
INCOME = "GET /fapi/v1/income"
WEIGHTS = {HISTORY: 1, INCOME: 30}
"""Of one request. The history's is counted by the spot host (12,000 a minute), the income's by the
futures host (2,400).
"""

TIMES_MAX = 1_000_000
CLIENTS = 64
POLL_S = 0.25
PAGE = 200


class Exchange(Struct):
    """The simulator and the addresses of what all instances share."""

    sim: SimulatorClient
    environ: dict[str, str]


class Result(Struct, frozen=True):
    """Attributes:
    sent_s: Until every request had an answer.
    seconds: From the first request until nothing was PENDING; None: not within the limit.
    open: Transfers that are still PENDING.
    """

    transfers: int
    lost: int
    sent_s: float
    seconds: float | None
    open: int
    requests: Counter[str]
    moved: int

    def line(self) -> str:
        weight = sum(WEIGHTS[name] * count for name, count in self.requests.items())
        settled = "not settled" if self.seconds is None else f"{self.seconds:.1f} s"
        return (
            f"{self.transfers:9} {self.lost:6} {self.sent_s:6.1f} s {settled:>12} {self.open:6} "
            f"{self.requests[HISTORY]:9} {self.requests[INCOME]:8} {weight:8} {self.moved:10}"
        )


HEAD = "transfers   lost     sent      settled   open   history   income   weight  movements"


@asynccontextmanager
async def exchange(directory: Path) -> AsyncIterator[Exchange]:
    """A simulator, a Redis, and settings that let a service use them."""
    tokens = directory / "tokens.json"
    write_token_file(tokens, TOKENS)
    async with (
        simulator_process("--symbols", "BTCUSDT", "--rate", "20") as process,
        EmbeddedRedis(directory / "redis", binary=find_redis_server()) as cluster,
        simulator_client(process.ready) as sim,
    ):
        environ = {
            **simulated(process.ready, "BTCUSDT"),
            "S1_BINANCE_KEY": DEMO_KEY.key,
            "S1_BINANCE_SECRET": DEMO_KEY.secret,
            "S1_REDIS_ADDRESSES": str(cluster.nodes[0].address),
            "S1_API_TOKENS_FILE": str(tokens),
            "S1_RATE_LIMIT_PER_S": "10000",
            "S1_TREASURY_DAILY_CAP": "1000000000",
        }
        yield Exchange(sim, environ)


@asynccontextmanager
async def instances(
    count: int, directory: Path, exchange: Exchange
) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """Clients of *count* services; more than one share an ArangoDB."""
    async with AsyncExitStack() as stack:
        environ = dict(exchange.environ)
        if count > 1:
            double = stack.enter_context(arango_double())
            environ |= {"S1_DB_ARANGO_URI": ",".join(double.urls), "S1_DB_ARANGO_USER": "root"}
        clients = []
        for number in range(count):
            shard = {"S1_SHARD": f"{number}/{count}"} if count > 1 else {}
            service = await stack.enter_async_context(
                service_process(directory / f"state{number}", {**environ, **shard})
            )
            await service.readiness(200)
            clients.append(
                await stack.enter_async_context(
                    httpx2.AsyncClient(
                        base_url=await service.url(),
                        timeout=30,
                        trust_env=False,
                        headers={"Authorization": f"Bearer {TRADER_TOKEN}"},
                    )
                )
            )
        yield clients


async def measure(
    count: int, share: float, instance_count: int, limit_s: float, seed: int
) -> Result:
    """Request *count* transfers of different amounts and lose *share* of the replies."""
    with TemporaryDirectory(prefix="chimera-lost-") as name:
        async with (
            exchange(Path(name)) as site,
            instances(instance_count, Path(name), site) as clients,
        ):
            for counted in (HISTORY, INCOME):
                await site.sim.arm(counted, "delay:1", times=TIMES_MAX)
            sender = Sender(site, clients, random.Random(seed), count, share)
            began = time.monotonic()
            await sender.send_all()
            sent_s = time.monotonic() - began
            still_open = await wait_until_settled(clients, limit_s)
            seconds = None if still_open else time.monotonic() - began
            requests, lost = await read_counts(site.sim)
            _, books = await site.sim.control("GET", "/sim/transfers")
            moved = len(books["transfers"])
            return Result(count, lost, sent_s, seconds, still_open, requests, moved)


class Sender:
    """Requests every transfer once, from several clients in turn."""

    def __init__(
        self,
        site: Exchange,
        clients: Sequence[httpx2.AsyncClient],
        chance: random.Random,
        count: int,
        share: float,
    ) -> None:
        self._site = site
        self._clients = clients
        self._losses = [chance.random() < share for _ in range(count)]
        self._next = 0

    async def send_all(self) -> None:
        if all(self._losses):
            await self._site.sim.arm(POST, "execute-then-drop", times=len(self._losses))
        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(self._send)

    async def _send(self) -> None:
        while self._next < len(self._losses):
            number = self._next
            self._next += 1
            if self._losses[number] and not all(self._losses):
                await self._site.sim.arm(POST, "execute-then-drop", times=1)
            source, target = ("SPOT", "FUT") if number % 2 else ("FUT", "SPOT")
            amount = str(1 + number * Decimal("0.01"))
            body = {"from": source, "to": target, "amount_usdt": amount}
            client = self._clients[number % len(self._clients)]
            reply = await client.post(
                TRANSFER, json=body, headers={"Idempotency-Key": f"t{number}"}
            )
            if reply.status_code not in {200, 202}:
                raise RuntimeError(f"{reply.status_code}: {reply.text}")


async def wait_until_settled(clients: Sequence[httpx2.AsyncClient], limit_s: float) -> int:
    """The number of transfers that are PENDING at the end."""
    still_open = 0
    with anyio.move_on_after(limit_s):
        while True:
            pages = [
                (await each.get(f"/xchg/treasury/transfers?state=PENDING&limit={PAGE}")).json()
                for each in clients
            ]
            still_open = max(len(page["transfers"]) for page in pages)
            if not still_open:
                return 0
            await anyio.sleep(POLL_S)
    return still_open


async def read_counts(sim: SimulatorClient) -> tuple[Counter[str], int]:
    """The requests by target, and the replies that were lost."""
    _, answer = await sim.control("GET", "/sim/faults")
    faults: list[dict[str, Any]] = answer["faults"]
    requests: Counter[str] = Counter()
    for fault in faults:
        requests[fault["on"]] += fault["fired"]
    return Counter({name: requests[name] for name in WEIGHTS}), requests[POST]


async def main(options: argparse.Namespace) -> int:
    counts = [options.transfers] if options.transfers else options.lost
    share = options.share if options.transfers else 1.0
    say(f"{options.instances} instance(s), {share:.0%} of the replies lost")
    say(HEAD)
    failed = False
    for count in counts:
        result = await measure(count, share, options.instances, options.limit, options.seed)
        say(result.line())
        failed = failed or result.seconds is None or result.moved != result.transfers
    return int(failed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.lost_replies")
    parser.add_argument("--lost", type=int, nargs="+", default=[20, 60, 200])
    parser.add_argument("--transfers", type=int, default=0, help="instead of --lost")
    parser.add_argument("--share", type=float, default=0.3, help="of the replies, with --transfers")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--limit", type=float, default=300.0, help="s, then it is given up")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(anyio.run(main, arguments()))
