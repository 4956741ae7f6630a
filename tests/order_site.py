"""A simulator, a Redis, and services that place orders, one after the other on the same state.

async with open_site(directory) as site, site.serving():
    await site.place(request)
    found, answer = await site.settled(60)
    assert found.differences == ()
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import httpx2
import msgspec
from msgspec import Struct

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_binary import find_redis_server
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.execution.order_request import OrderRequest
from tests.accelerated_clock import AcceleratedClock, Pace, accelerate
from tests.account_books import (
    ExchangeBooks,
    Ledger,
    UnreadError,
    read_books,
    read_executed,
    read_ledger,
    read_picture,
)
from tests.books_comparison import Compared, compared
from tests.contract.service_process import (
    Service,
    redis_at,
    service_process,
    simulated,
)
from tests.placing_service import DOOR_OPEN, CancelCommand, CommandResult, PlaceCommand, send
from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.time_limits import TIMEOUT_S

TOKEN, _TOKEN = make_token(
    "desk", b"d" * 32, actor="desk", scopes=[Scope.ORDERS_TRADE, Scope.READ], created_at=0
)
ENTRY = "entry-1"
OTHER_HOST = ("127.0.0.2", 0)
USDT = "100000000"
STARTS_MAX = 5
_LOOK_AGAIN_S = 0.5


class Comparison(Struct, frozen=True, kw_only=True):
    books: ExchangeBooks
    ledger: Ledger
    rows: tuple[Compared, ...]

    @property
    def differences(self) -> tuple[str, ...]:
        return tuple(line for row in self.rows for line in row.differences)


class OrderSite:
    """Attributes:
    clock: Of the exchange and of the service.
    others: Requests from another address.
    redis: Its only server.
    sent: Every request that was given to a service.
    """

    def __init__(
        self,
        directory: Path,
        sim: SimulatorClient,
        others: SimulatorClient,
        redis: ServerProcess,
        pace: Pace,
    ) -> None:
        self.sim = sim
        self.clock = AcceleratedClock(pace)
        self.others = others
        self.state_dir = directory / "state"
        self.sent: dict[str, OrderRequest] = {}
        self.service: Service | None = None
        self._http: httpx2.AsyncClient | None = None
        self._serving = anyio.Event()
        self.redis = redis
        self._pace = msgspec.json.encode(pace).decode()
        self._tokens = directory / "tokens.json"
        write_token_file(self._tokens, [_TOKEN])

    @property
    def http(self) -> httpx2.AsyncClient:
        assert self._http is not None, "no service is running"
        return self._http

    def environ(self, symbols: str) -> dict[str, str]:
        return {
            **simulated(self.sim.urls, symbols),
            "S1_BINANCE_KEY": DEMO_KEY.key,
            "S1_BINANCE_SECRET": DEMO_KEY.secret,
            "S1_REDIS_ADDRESSES": f"127.0.0.1:{self.redis.address.port}",
            "S1_API_TOKENS_FILE": str(self._tokens),
            "S1_RATE_LIMIT_PER_S": "10000",
            "S1_OPS_MAXLEN": "10000000",
            # As rarely as may be: each is more often by the rate of the clock.
            "S1_CLOCK_PATROL_MS": "30000",
            "S1_READ_INTERVAL_MS": "100",
            "S1_FUNDING_DAYS": "1",
        }

    @asynccontextmanager
    async def serving(self, symbols: str) -> AsyncIterator[Service]:
        async with service_process(
            self.state_dir,
            self.environ(symbols),
            interpreter=("-m", "tests.placing_service", self._pace),
        ) as service:
            await _logged(service, DOOR_OPEN)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with httpx2.AsyncClient(
                base_url=await service.url(), timeout=TIMEOUT_S, trust_env=False, headers=headers
            ) as http:
                self.service, self._http = service, http
                self._serving.set()
                try:
                    yield service
                finally:
                    self.service = self._http = None
                    self._serving = anyio.Event()

    async def served(self) -> None:
        """Until a service runs."""
        await self._serving.wait()

    async def place(self, request: OrderRequest, entry_id: str = ENTRY) -> CommandResult | None:
        """None: the service ended first."""
        self.sent[request.client_id] = request
        return await send(self.state_dir, PlaceCommand(request=request, entry_id=entry_id))

    async def cancel(self, client_id: str) -> CommandResult | None:
        return await send(self.state_dir, CancelCommand(client_id=client_id))

    async def give_spot(self, *assets: str, amount: str = "100000") -> None:
        for asset in assets:
            body = {"venue": "spot", "asset": asset, "free": amount}
            await self.sim.control("POST", "/sim/assets", body)

    async def reconcile(self) -> dict[str, Any]:
        reply = await self.http.post("/xchg/reconcile")
        answer: dict[str, Any] = reply.json()
        return answer

    async def known(self) -> None:
        """Until the account was read for the first time: trades before it are history."""
        while not (await self.reconcile()).get("agrees"):  # noqa: ASYNC110 (another process)
            await anyio.sleep(_LOOK_AGAIN_S)

    async def compare(self) -> Comparison:
        """Retried while the exchange's books move during the reads."""
        while True:
            books = await read_books(self.sim)
            picture = await read_picture(self.http)
            ledger = await read_ledger(self.state_dir)
            async with redis_at(self.redis.address.port) as redis:
                executed = await read_executed(redis)
            after = await read_books(self.sim)
            if (after.orders, after.trades) == (books.orders, books.trades):
                rows = compared(self.sent, books, ledger, picture, executed)
                return Comparison(books=books, ledger=ledger, rows=rows)

    async def settled(self, limit_s: float) -> tuple[Comparison, dict[str, Any]]:
        """Reconcile and compare until nothing is different, or the time is over."""
        with anyio.move_on_after(limit_s):
            await self.served()
            while True:
                answer = await self.reconcile()
                with suppress(UnreadError):
                    found = await self.compare()
                    if not found.differences and answer.get("agrees"):
                        return found, answer
                await anyio.sleep(_LOOK_AGAIN_S)
        return await self.compare(), await self.reconcile()


@asynccontextmanager
async def open_site(
    directory: Path, symbols: str, updates_per_s: str = "20", clock_rate: float = 1.0
) -> AsyncIterator[OrderSite]:
    async with (
        simulator_process(
            "--symbols", symbols, "--rate", updates_per_s, "--spot-usdt", USDT, "--fut-usdt", USDT
        ) as process,
        EmbeddedRedis(directory / "redis", binary=find_redis_server()) as cluster,
        simulator_client(process.ready) as sim,
        # Others have a weight limit of their own.
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=OTHER_HOST)) as session,
    ):
        others = SimulatorClient(session, process.ready)
        pace = await accelerate(sim, clock_rate)
        yield OrderSite(directory, sim, others, cluster.nodes[0], pace)


async def _logged(service: Service, text: str) -> None:
    """Also on a machine where a start takes minutes."""
    for _ in range(STARTS_MAX):
        with suppress(TimeoutError):
            await service.logged(text)
            return
    raise AssertionError(f"it never said {text!r}:\n{service.output}")
