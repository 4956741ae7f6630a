"""Processes that place orders and are killed (`kill -9`): after a restart each order is known, and
none was sent twice.

Real sockets, SQLite files and the simulator; only the age of orders is judged on a later clock, so
that the test need not wait for the end of their receive windows.
"""

import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import msgspec
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from tests.contract.order_placer import LEDGER, QTY, Moment, Plan
from tests.contract.signed_client import running_simulator
from tests.order_instance import order_instance
from tests.simulator_client import SimulatorClient, simulator_client
from tests.time_limits import TIMEOUT_S

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PLANNED = "execution.order.planned"
LATER_MS = 2 * QUERY_LAG_MS
REST = {"spot_rest_url": "POST /api/v3/order", "perp_rest_url": "POST /fapi/v1/order"}
NOT_EXECUTED = (Moment.BEFORE_SENDING, Moment.ON_THE_WAY)


class Relay:
    """In front of both REST hosts; it holds either requests or replies.

    Attributes:
        both_held: Set when an order of each host is held, or its reply.
    """

    def __init__(self, moment: Moment) -> None:
        self.urls: dict[str, str] = {}
        self.both_held = anyio.Event()
        self._holds_requests = moment is Moment.ON_THE_WAY
        self._held: set[str] = set()

    async def serve(self, name: str, url: str, stream: SocketStream) -> None:
        async with stream:
            await self._serve(name, url, stream)

    async def _serve(self, name: str, url: str, stream: SocketStream) -> None:
        request = b""
        try:
            while not request.startswith(b"POST"):
                request += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return  # kept ready, and never used
        if not self._holds_requests:
            parts = urlsplit(url)
            async with await anyio.connect_tcp(str(parts.hostname), parts.port or 0) as server:
                await server.send(request)
                await server.receive()
        self._hold(name)
        await _ended(stream)

    def _hold(self, name: str) -> None:
        self._held.add(name)
        if len(self._held) == len(REST):
            self.both_held.set()


async def _ended(stream: ByteStream) -> None:
    try:
        while True:
            await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        pass


@asynccontextmanager
async def relay(moment: Moment, urls: Mapping[str, str]) -> AsyncIterator[Relay]:
    holding = Relay(moment)
    async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        for name in REST:
            listening = await anyio.create_tcp_listener(local_host=HOST)
            listener = await stack.enter_async_context(listening)
            holding.urls[name] = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"
            tasks.start_soon(listener.serve, partial(holding.serve, name, urls[name]))
        yield holding
        tasks.cancel_scope.cancel()


class World:
    """The simulator, its client, and the ledger of each killed process."""

    def __init__(self, sim: SimulatorClient, urls: dict[str, str], directory: Path) -> None:
        self._sim = sim
        self._urls = urls
        self._directory = directory
        self.prices: dict[str, Decimal] = {}
        self.known: dict[str, TrackedOrder] = {}

    async def read_prices(self) -> None:
        for venue, path in (("spot", "/api/v3"), ("perp", "/fapi/v1")):
            _, ticker, _ = await self._sim.rest(venue, f"{path}/ticker/price?symbol=BTCUSDT")
            self.prices[venue] = Decimal(ticker["price"])

    async def place_and_be_killed(self, moment: Moment) -> None:
        async with relay(moment, self._urls) as holding:
            held = moment in {Moment.ON_THE_WAY, Moment.EXECUTED}
            plan = Plan(
                path=str(self._path(moment)),
                urls={**self._urls, **(holding.urls if held else {})},
                moment=moment,
                open_price=f"{self.prices['perp'] * Decimal('0.98'):.0f}",
                filled_price=f"{self.prices['spot'] * Decimal('1.02'):.0f}",
            )
            arguments = ("-m", "tests.contract.order_placer", msgspec.json.encode(plan).decode())
            command = ending_with_parent([sys.executable, *arguments])
            async with await anyio.open_process(command, cwd=ROOT, stderr=None) as process:
                if held:
                    await holding.both_held.wait()
                    process.kill()
                assert await process.wait() == -signal.SIGKILL, moment

    async def restart(self, moment: Moment) -> None:
        """On the same ledger, until both orders are known."""
        async with SqliteDatabase(self._path(moment)) as database:
            store = SqliteEventStore(database, LEDGER)
            stored = await store.read(0, 10)
            types = [event.type for each in stored for event in each.commit.events]
            assert types == [PLANNED, PLANNED], types
            async with order_instance(self._urls, store, later_ms=LATER_MS) as instance:
                for name in ("open", "filled"):
                    client_id = f"s1-{moment}-{name}"
                    self.known[client_id] = await instance.known(client_id, is_certain)

    async def count_orders(self) -> None:
        """Each placement makes a fault fire that changes nothing."""
        for on in REST.values():
            await self._sim.arm(on, "delay:1", times=100)

    async def placed(self) -> dict[str, Any]:
        """Every order of the simulator by client id; none twice."""
        _, answer = await self._sim.control("GET", "/sim/orders")
        orders = {each["client_id"]: each for each in answer["orders"]}
        assert len(orders) == len(answer["orders"])
        return orders

    def _path(self, moment: Moment) -> Path:
        return self._directory / f"{moment}.db"


def is_certain(order: TrackedOrder) -> bool:
    return order.phase in {OrderPhase.ACKNOWLEDGED, OrderPhase.CLOSED, OrderPhase.ABSENT}


async def test_orders_of_killed_processes_are_known_after_a_restart(tmp_path: Path) -> None:
    config = SimulatorConfig(symbols=("BTCUSDT",), rate=1)
    with anyio.fail_after(TIMEOUT_S):
        async with running_simulator(config) as urls, simulator_client(urls) as sim:
            world = World(sim, urls, tmp_path)
            await world.read_prices()
            await world.count_orders()
            for work in (world.place_and_be_killed, world.restart):
                async with anyio.create_task_group() as tasks:
                    for moment in Moment:
                        tasks.start_soon(work, moment)
            placed, requests = await world.placed(), await sim.fired()

    executed = [moment for moment in Moment if moment not in NOT_EXECUTED]
    assert requests == [len(executed), len(executed)]
    assert sorted(placed) == sorted(
        f"s1-{m}-{name}" for m in executed for name in ("open", "filled")
    )
    for moment in Moment:
        opened, filled = (world.known[f"s1-{moment}-{name}"] for name in ("open", "filled"))
        if moment in NOT_EXECUTED:
            assert (opened.phase, filled.phase) == (OrderPhase.ABSENT, OrderPhase.ABSENT)
            continue
        assert (opened.phase, opened.status) == (OrderPhase.ACKNOWLEDGED, "NEW")
        assert opened.exchange_id == str(placed[opened.client_id]["order_id"])
        assert (filled.status, filled.filled_qty) == ("FILLED", QTY)
        assert placed[filled.client_id]["filled_qty"] == str(QTY)
