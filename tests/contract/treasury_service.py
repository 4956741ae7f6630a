"""The treasury as real processes: the service, the exchange's simulator, a Redis, a client.

    async with site.serving() as desk:
        reply = await desk.transfer("t1", "25")

`site` is a fixture of all contract suites.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx2
import msgspec
import pytest

from chimera_s1.adapters.redis.account_claims import RedisAccountClaims
from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.redis.embedded.server_process import ServerProcess
from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.sqlite.cursor_store import SqliteCursorStore
from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.adapters.sqlite.funding_store import SqliteFundingStore
from chimera_s1.adapters.sqlite.installation_store import SqliteInstallationStore
from chimera_s1.adapters.sqlite.instrument_registry import SqliteInstrumentRegistry
from chimera_s1.adapters.sqlite.transfer_projection import SqliteTransferProjection
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.treasury.project_transfers import PROJECTION_CURSOR as PROJECTED
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.stores import SQLITE_FILE, open_stores
from chimera_s1.domain.funding.record import FundingRecord
from chimera_s1.domain.instruments.instrument import RegistryRow
from chimera_s1.domain.ledger.commit import LedgerEntry
from chimera_s1.domain.ports.installation_store import InstallationFact
from chimera_s1.domain.treasury.account_claim import AccountClaim
from tests.contract.service_process import (
    MODULE,
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.contract.treasury_service_client import TOKENS, TreasuryServiceClient
from tests.exchange_movements import (
    attribute_movements,
    fold_ledger,
    open_transfer_violations,
    unexplained_movements,
)
from tests.processes import ChimeraProcess, finished, simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.time_limits import TIMEOUT_S
from tests.treasury_invariants import read_all, violations_of

POST = "POST /sapi/v1/asset/transfer"
OPERATIONS = "ops:events"
ACCOUNT = "simulator:354937868"
QUICK = {
    "S1_TREASURY_LOOK_MS": "100",
    "S1_TREASURY_EXECUTION_MS": "500",
    "S1_TREASURY_HISTORY_LAG_MS": "500",
    "S1_TREASURY_CLEAN_SPREAD_MS": "0",
}
"""Of an exchange that is as quick as the simulator."""

_LOOK_AGAIN_S = 0.02
_WALLETS = {"MAIN_UMFUTURE": ("SPOT", "FUT"), "UMFUTURE_MAIN": ("FUT", "SPOT")}


class TreasuryDeployment:
    """What outlives a service: its directory, the exchange and the Redis.

    Attributes:
        state_dir: Of all services that are started here, one after the other.
        sim: The exchange's control plane.
    """

    def __init__(
        self,
        directory: Path,
        node: ServerProcess,
        exchange: Mapping[str, str],
        sim: SimulatorClient,
    ) -> None:
        self.state_dir = directory / "state"
        self.sim = sim
        self.node = node
        self._tokens = directory / "tokens.json"
        self._exchange = exchange
        self._moved_before = 0
        write_token_file(self._tokens, TOKENS)

    async def open(self) -> None:
        """What the exchange has done so far was somebody else's: the account is taken."""
        self._moved_before = len(await self._transfers())
        await self.take_account()

    async def take_account(self, **more: str) -> None:
        """Claim it for the ledger of a service that is started with the settings *more*."""
        settings = load_settings(self.environ(S1_STATE_DIR=str(self.state_dir), **more))
        async with open_stores(settings, SystemClock()) as stores:
            installation = await stores.installation.record(InstallationFact.ID, uuid4().hex)
        async with connect_cluster([self.node.address]) as client:
            claim = AccountClaim(installation=installation, by_operator=True)
            await RedisAccountClaims(client).replace(ACCOUNT, claim)

    async def installation_id(self) -> str:
        """Of the ledger here; empty before a service has recorded it."""
        async with self._database() as database:
            return await SqliteInstallationStore(database).find(InstallationFact.ID)

    def beside(self, name: str) -> "TreasuryDeployment":
        """Another installation: its own directory, the same exchange, key and Redis."""
        directory = self.state_dir.with_name(name)
        directory.mkdir()
        return TreasuryDeployment(directory, self.node, self._exchange, self.sim)

    def environ(self, **more: str) -> dict[str, str]:
        """Settings of a service here."""
        return {
            **simulated(self._exchange, "BTCUSDT"),
            "S1_BINANCE_KEY": DEMO_KEY.key,
            "S1_BINANCE_SECRET": DEMO_KEY.secret,
            "S1_REDIS_ADDRESSES": str(self.node.address),
            "S1_API_TOKENS_FILE": str(self._tokens),
            **QUICK,
            **more,
        }

    @asynccontextmanager
    async def serving(
        self, *, interpreter: Sequence[str] = MODULE, **more: str
    ) -> AsyncIterator[TreasuryServiceClient]:
        """A service that is ready."""
        environ = self.environ(**more)
        async with service_process(self.state_dir, environ, interpreter=interpreter) as service:
            await service.readiness(200)
            async with httpx2.AsyncClient(
                base_url=await service.url(), timeout=TIMEOUT_S, trust_env=False
            ) as http:
                yield TreasuryServiceClient(service, http)

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """Run `chimera-s1` with the settings of a service here: exit code, output, errors."""
        environment = self.environ(S1_STATE_DIR=str(self.state_dir))
        return await finished(*arguments, environment=environment)

    async def fired(self, times: int = 1) -> None:
        """Wait until the faults that are armed have fired so often."""
        with anyio.fail_after(TIMEOUT_S):
            while sum(await self.sim.fired()) < times:  # noqa: ASYNC110 (another process counts)
                await anyio.sleep(_LOOK_AGAIN_S)

    async def event(self, kind: str, key: str) -> dict[str, Any]:
        """Wait for an event of a transfer on `ops:events`, also if it is there already;
        its detail.
        """
        async with redis_at(self.node.address.port) as redis:
            events = StreamReader(redis, OPERATIONS)
            while True:
                _, fields = await events.next()
                detail: dict[str, Any] = msgspec.json.decode(fields["detail_json"])
                if (fields["kind"], detail.get("transfer_id")) == (f"treasury.{kind}", key):
                    return detail

    async def moved(self) -> list[str]:
        """What really moved since the site was opened, as `SPOT 25`: the wallet it came from."""
        rows = (await self._transfers())[self._moved_before :]
        return [f"{_WALLETS[row['type']][0]} {row['amount']}" for row in rows]

    async def balances(self) -> list[Decimal]:
        """Of spot and futures."""
        _, amounts = await self.sim.control("GET", "/sim/balances")
        return [Decimal(amounts[name]["USDT"]) for name in ("spot", "fut")]

    async def relayed(self, entries: Iterable[LedgerEntry]) -> list[str]:
        """The `event_id`s of *entries* on `ops:events`, in order.

        Other ledgers relay their events there too, under the same names; the hashes tell them
        apart.
        """
        own = set(_events(entries))
        async with redis_at(self.node.address.port) as redis:
            relayed: Any = await redis.xrange(OPERATIONS)
        details = [msgspec.json.decode(fields["detail_json"]) for _, fields in relayed]
        names = [(detail["event_id"], detail.get("hash", "")) for detail in details]
        return [name for name, digest in names if (name, digest) in own]

    async def wait_until_idle(self) -> None:
        """Wait until every transfer is final, verified, relayed to `ops:events` and projected."""
        with anyio.fail_after(TIMEOUT_S):
            while await self._is_busy():  # noqa: ASYNC110 (another process works)
                await anyio.sleep(_LOOK_AGAIN_S)

    async def violations(self) -> list[str]:
        """The invariants that are broken in the SQLite file once everything is decided, by the
        exchange's own books and by `ops:events`.
        """
        async with self._database() as database:
            store = SqliteEventStore(database, TREASURY_LEDGER)
            entries = await read_all(store)
            books = attribute_movements(entries, (await self._transfers())[self._moved_before :])
            return [
                *await violations_of(
                    store,
                    executed=books,
                    relayed=await self.relayed(entries),
                    projection=SqliteTransferProjection(database),
                ),
                *unexplained_movements(entries, books),
                *open_transfer_violations(entries),
            ]

    async def entries(self) -> list[LedgerEntry]:
        """The SQLite ledger."""
        async with self._database() as database:
            return await read_all(SqliteEventStore(database, TREASURY_LEDGER))

    async def instruments(self) -> tuple[RegistryRow, ...]:
        """The registry in the SQLite file."""
        async with self._database() as database:
            return await SqliteInstrumentRegistry(database).rows()

    async def funding(self) -> tuple[FundingRecord, ...]:
        """All records in the SQLite file, and those that were announced."""
        async with self._database() as database:
            store = SqliteFundingStore(database)
            announced = await store.announced(limit=1_000_000)
            records = await store.between(0, 10**13, limit=1_000_000)
            return (*records, *(each.record for each in announced))

    async def _is_busy(self) -> bool:
        async with self._database() as database:
            entries = await read_all(SqliteEventStore(database, TREASURY_LEDGER))
            projected = await SqliteCursorStore(database).read(PROJECTED)
        book = fold_ledger(entries)
        if book.queued or book.unresolved or book.unverified or projected < len(entries):
            return True
        names = {name for name, _ in _events(entries)}
        return not names <= set(await self.relayed(entries))

    def _database(self) -> SqliteDatabase:
        return SqliteDatabase(self.state_dir / SQLITE_FILE, read_only=True)

    async def _transfers(self) -> list[dict[str, Any]]:
        _, books = await self.sim.control("GET", "/sim/transfers")
        rows: list[dict[str, Any]] = books["transfers"]
        return rows


@pytest.fixture(scope="module")
async def treasury_exchange() -> AsyncIterator[ChimeraProcess]:
    """One simulator, and its one account, for all services of a module."""
    async with simulator_process("--symbols", "BTCUSDT", "--rate", "20") as process:
        yield process


@pytest.fixture(scope="module")
async def treasury_redis(
    redis_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    """A Redis Cluster of one node for all services of a module."""
    directory = tmp_path_factory.mktemp("cluster")
    async with EmbeddedRedis(directory, binary=redis_binary) as cluster:
        yield cluster.nodes[0]


@pytest.fixture
async def site(
    tmp_path: Path, treasury_redis: ServerProcess, treasury_exchange: ChimeraProcess
) -> AsyncIterator[TreasuryDeployment]:
    """For one service after the other, without faults."""
    async with open_site(tmp_path, treasury_redis, treasury_exchange.ready) as opened:
        yield opened


@asynccontextmanager
async def open_site(
    directory: Path, node: ServerProcess, exchange: dict[str, str]
) -> AsyncIterator[TreasuryDeployment]:
    """A site in *directory*, without faults; *exchange* has the simulator's addresses."""
    async with simulator_client(exchange) as sim:
        site = TreasuryDeployment(directory, node, exchange, sim)
        await sim.control("DELETE", "/sim/faults")
        await site.open()
        yield site


def _events(entries: Iterable[LedgerEntry]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        yield from ((record.id, entry.commit.hash) for record in entry.commit.events)
