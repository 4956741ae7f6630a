"""
The treasury as real processes: the service, the exchange's simulator, a Redis, a client.

    async with site.serving() as desk:
        reply = await desk.transfer("t1", "25")

`site` is a fixture of all contract suites.
"""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from anyio import to_thread

from chimera_s1.adapters.redis.embedded import EmbeddedRedis
from chimera_s1.adapters.redis.server_process import ServerProcess
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.adapters.system.token_file import write_token_file
from chimera_s1.app.ledger_stores import SQLITE_FILE, TREASURY
from chimera_s1.app.use_cases.treasury.project_transfers import CURSOR as PROJECTED
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.ledger.commit import Entry
from tests.contract.service_process import (
    MODULE,
    PATIENCE_S,
    Service,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import ChimeraProcess, simulator_process
from tests.simulator_client import Simulation, simulation
from tests.treasury_books import books_of, folded, undecided, unexplained
from tests.treasury_invariants import read_all, violations_of

POST = "POST /sapi/v1/asset/transfer"
TRANSFER = "/xchg/treasury/transfer"
OPERATIONS = "ops:events"
QUICK = {
    "S1_TREASURY_LOOK_MS": "100",
    "S1_TREASURY_EXECUTION_MS": "500",
    "S1_TREASURY_HISTORY_LAG_MS": "500",
    "S1_TREASURY_CLEAN_SPREAD_MS": "0",
}
"""
Of an exchange that is as quick as the simulator.
"""

_LOOK_AGAIN_S = 0.02
_WALLETS = {"MAIN_UMFUTURE": ("SPOT", "FUTURES"), "UMFUTURE_MAIN": ("FUTURES", "SPOT")}

TRADER_TOKEN, _TRADER = make_token(
    "trader",
    b"t" * 32,
    actor="treasury-bot",
    scopes=[Scope.TREASURY_TRANSFER, Scope.READ],
    created_at=0,
)
OTHER_TOKEN, _OTHER = make_token(
    "other", b"o" * 32, actor="other-bot", scopes=[Scope.TREASURY_TRANSFER], created_at=0
)
READER_TOKEN, _READER = make_token(
    "reader", b"r" * 32, actor="dashboard", scopes=[Scope.READ], created_at=0
)
_TOKENS = [_TRADER, _OTHER, _READER]


class Desk:
    """
    A running service, and a client that may ask it for everything.
    """

    def __init__(self, service: Service, http: httpx.AsyncClient) -> None:
        self.service = service
        self.http = http

    async def transfer(
        self, key: str, amount: Any = "10", *, back: bool = False, token: str = TRADER_TOKEN
    ) -> httpx.Response:
        """
        Ask for a transfer from spot to futures, or *back*.
        """
        source, target = ("FUTURES", "SPOT") if back else ("SPOT", "FUTURES")
        body = {"from": source, "to": target, "amount_usdt": amount}
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {token}"}
        return await self.http.post(TRANSFER, json=body, headers=headers)

    @asynccontextmanager
    async def asking(
        self, key: str, amount: Any = "10", *, back: bool = False
    ) -> AsyncIterator[list[httpx.Response]]:
        """
        Ask for it during the block; after it, the reply is in the list if one came.
        """
        replies: list[httpx.Response] = []

        async def ask() -> None:
            with suppress(httpx.HTTPError):
                replies.append(await self.transfer(key, amount, back=back))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            yield replies

    async def standing(self, key: str) -> dict[str, Any]:
        """
        `GET /xchg/treasury/transfer/<key>`.
        """
        reply = await self.read(f"transfer/{key}")
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def read(self, path: str, token: str = READER_TOKEN) -> httpx.Response:
        """
        A GET below `/xchg/treasury`.
        """
        headers = {"Authorization": f"Bearer {token}"}
        return await self.http.get(f"/xchg/treasury/{path}", headers=headers)

    async def treasury(self) -> dict[str, Any]:
        """
        The component of `/health`.
        """
        components: list[dict[str, Any]] = (await self.http.get("/health")).json()["components"]
        return next(each for each in components if each["name"] == "treasury")

    async def kill(self) -> None:
        """
        SIGKILL; returns when it is gone.
        """
        self.service.process.kill()
        await self.service.ended()

    async def stopped(self) -> None:
        """
        Wait until a signal has made it stand still.
        """
        pid = self.service.process.pid
        with anyio.fail_after(PATIENCE_S):
            await to_thread.run_sync(os.waitid, os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


class Site:
    """
    What outlives a service: its directory, the exchange and the Redis.

    Attributes:
        state_dir: Of all services that are started here, one after the other.

        sim: The exchange's control plane.
    """

    def __init__(
        self, directory: Path, node: ServerProcess, exchange: ChimeraProcess, sim: Simulation
    ) -> None:
        self.state_dir = directory / "state"
        self.sim = sim
        self.node = node
        self._tokens = directory / "tokens.json"
        self._ready: Mapping[str, str] = exchange.ready
        self._moved_before = 0
        write_token_file(self._tokens, _TOKENS)

    async def open(self) -> None:
        """
        What the exchange has done so far was somebody else's.
        """
        self._moved_before = len(await self._transfers())

    def environ(self, **more: str) -> dict[str, str]:
        """
        Settings of a service here.
        """
        return {
            **simulated(self._ready, "BTCUSDT"),
            "S1_BINANCE_KEY": self._ready["api_key"],
            "S1_BINANCE_SECRET": self._ready["api_secret"],
            "S1_REDIS_ADDRESSES": str(self.node.address),
            "S1_API_TOKENS_FILE": str(self._tokens),
            **QUICK,
            **more,
        }

    @asynccontextmanager
    async def serving(
        self, *, interpreter: Sequence[str] = MODULE, **more: str
    ) -> AsyncIterator[Desk]:
        """
        A service that is ready.
        """
        environ = self.environ(**more)
        async with service_process(self.state_dir, environ, interpreter=interpreter) as service:
            await service.readiness(200)
            async with httpx.AsyncClient(
                base_url=await service.url(), timeout=PATIENCE_S, trust_env=False
            ) as http:
                yield Desk(service, http)

    async def fired(self, times: int = 1) -> None:
        """
        Wait until the faults that are armed have fired so often.
        """
        with anyio.fail_after(PATIENCE_S):
            while sum(await self.sim.fired()) < times:  # noqa: ASYNC110 (another process counts)
                await anyio.sleep(_LOOK_AGAIN_S)

    async def event(self, kind: str, key: str) -> dict[str, Any]:
        """
        Wait for an event of a transfer on `ops:events`, also if it is there already; its detail.
        """
        async with redis_at(self.node.address.port) as redis:
            events = StreamReader(redis, OPERATIONS)
            while True:
                _, fields = await events.next()
                detail: dict[str, Any] = msgspec.json.decode(fields["detail_json"])
                if (fields["kind"], detail.get("transfer_id")) == (f"treasury.{kind}", key):
                    return detail

    async def moved(self) -> list[str]:
        """
        What really moved since the site was opened, as `SPOT 25`: the wallet it came from.
        """
        rows = (await self._transfers())[self._moved_before :]
        return [f"{_WALLETS[row['type']][0]} {row['amount']}" for row in rows]

    async def balances(self) -> list[Decimal]:
        """
        Of spot and futures.
        """
        _, amounts = await self.sim.control("GET", "/sim/balances")
        return [Decimal(amounts[name]["USDT"]) for name in ("spot", "futures")]

    async def relayed(self) -> list[str]:
        """
        The `event_id`s on `ops:events`, in order.
        """
        async with redis_at(self.node.address.port) as redis:
            entries: Any = await redis.xrange(OPERATIONS)
        return [msgspec.json.decode(fields["detail_json"])["event_id"] for _, fields in entries]

    async def at_rest(self) -> None:
        """
        Wait until every transfer is decided and confirmed, and told on `ops:events` and in the
        projection.
        """
        with anyio.fail_after(PATIENCE_S):
            while await self._is_busy():  # noqa: ASYNC110 (another process works)
                await anyio.sleep(_LOOK_AGAIN_S)

    async def violations(self) -> list[str]:
        """
        The invariants that are broken in the SQLite file once everything is decided, by the
        exchange's own books and by `ops:events`.
        """
        async with self._database() as database:
            store = SqliteEventStore(database, TREASURY)
            entries = await read_all(store)
            books = books_of(entries, (await self._transfers())[self._moved_before :])
            own = set(_event_ids(entries))
            return [
                *await violations_of(
                    store,
                    books=books,
                    relayed=[name for name in await self.relayed() if name in own],
                    projection=SqliteTransferProjection(database),
                ),
                *unexplained(entries, books),
                *undecided(entries),
            ]

    async def entries(self) -> list[Entry]:
        """
        The SQLite ledger.
        """
        async with self._database() as database:
            return await read_all(SqliteEventStore(database, TREASURY))

    async def _is_busy(self) -> bool:
        async with self._database() as database:
            entries = await read_all(SqliteEventStore(database, TREASURY))
            projected = await SqliteCursorStore(database).position(PROJECTED)
        book = folded(entries)
        if book.waiting or book.unresolved or book.unverified or projected < len(entries):
            return True
        return not set(_event_ids(entries)) <= set(await self.relayed())

    def _database(self) -> SqliteDatabase:
        return SqliteDatabase(self.state_dir / SQLITE_FILE, read_only=True)

    async def _transfers(self) -> list[dict[str, Any]]:
        _, books = await self.sim.control("GET", "/sim/transfers")
        rows: list[dict[str, Any]] = books["transfers"]
        return rows


@pytest.fixture(scope="module")
async def treasury_exchange() -> AsyncIterator[ChimeraProcess]:
    """
    One simulator, and its one account, for all services of a module.
    """
    async with simulator_process("--symbols", "BTCUSDT", "--rate", "20") as process:
        yield process


@pytest.fixture(scope="module")
async def treasury_redis(
    redis_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """
    A Redis Cluster of one node for all services of a module.
    """
    directory = tmp_path_factory.mktemp("cluster")
    async with EmbeddedRedis(directory, binary=redis_binary) as cluster:
        yield cluster.nodes[0]


@pytest.fixture
async def site(
    tmp_path: Path, treasury_redis: ServerProcess, treasury_exchange: ChimeraProcess
) -> AsyncIterator[Site]:
    """
    For one service after the other, without faults.
    """
    async with open_site(tmp_path, treasury_redis, treasury_exchange) as opened:
        yield opened


@asynccontextmanager
async def open_site(
    directory: Path, node: ServerProcess, exchange: ChimeraProcess
) -> AsyncIterator[Site]:
    """
    A site in *directory*, without faults.
    """
    async with simulation(exchange.ready) as sim:
        site = Site(directory, node, exchange, sim)
        await sim.control("DELETE", "/sim/faults")
        await site.open()
        yield site


def _event_ids(entries: Iterable[Entry]) -> list[str]:
    return [record.id for entry in entries for record in entry.commit.events]
