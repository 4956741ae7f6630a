"""What the simulator's books say, what the service knows, and what it has published."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
from msgspec import Struct
from redis.asyncio import Redis

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.event_store import SqliteEventStore
from chimera_s1.app.capabilities.execution.execution_ledger import EXECUTION_LEDGER
from chimera_s1.app.stores import SQLITE_FILE
from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import FillRecorded
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.ports.event_store import READ_LIMIT_MAX
from tests.simulator_client import SimulatorClient

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, ...]

EXECUTED = "orders:executed"
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "TRIGGERING"})


class UnreadError(Exception):
    """The service has not read the account yet."""


class ExchangeBooks(Struct, frozen=True, kw_only=True):
    """The true state: the control plane's rows."""

    orders: list[Row]
    trades: list[Row]
    positions: list[Row]
    assets: Mapping[str, Mapping[str, Row]]

    def open_orders(self) -> list[Row]:
        return [order for order in self.orders if order["status"] in OPEN]


class Ledger(Struct, frozen=True, kw_only=True):
    """Attributes:
    state: All orders and trades; nothing has left its memory.
    fill_ids: Event ids of the recorded trades.
    """

    state: ExecutionState
    fill_ids: Mapping[Key, list[str]]
    attributed: int


class Picture(Struct, frozen=True, kw_only=True):
    """What `/xchg` answers."""

    orders: list[Row]
    positions: list[Row]
    balances: list[Row]


async def read_books(sim: SimulatorClient) -> ExchangeBooks:
    async def get(name: str) -> Any:
        status, body = await sim.control("GET", f"/sim/{name}")
        assert status == 200, body
        return body

    return ExchangeBooks(
        orders=(await get("orders"))["orders"],
        trades=(await get("trades"))["trades"],
        positions=(await get("positions"))["positions"],
        assets=await get("assets"),
    )


async def read_ledger(state_dir: Path) -> Ledger:
    """The ledger in the SQLite file, also beside a running service."""
    state = ExecutionState(ended_orders_max=10**7, fills_max=10**7)
    fill_ids: dict[Key, list[str]] = defaultdict(list)
    attributed = 0
    async with SqliteDatabase(state_dir / SQLITE_FILE, read_only=True) as database:
        store = SqliteEventStore(database, EXECUTION_LEDGER)
        while entries := await store.read(state.head.seq, READ_LIMIT_MAX):
            for entry in entries:
                state.fold_commit(entry.commit)
                for record in entry.commit.events:
                    event = decode_event(record)
                    attributed += record.type == "execution.fill.attributed"
                    if isinstance(event, FillRecorded):
                        key = event.fill.key
                        name = (key.venue.value, key.symbol, key.order_id, key.trade_id)
                        fill_ids[name].append(record.id)
    return Ledger(state=state, fill_ids=fill_ids, attributed=attributed)


async def read_picture(http: httpx2.AsyncClient) -> Picture:
    async def get(path: str) -> Any:
        reply = await http.get(path)
        if reply.status_code != 200:
            raise UnreadError(reply.text)
        return reply.json()

    orders = await get("/xchg/orders/open?limit=1000")
    assert orders["total"] == len(orders["orders"]), "more open orders than one page has"
    return Picture(
        orders=orders["orders"],
        positions=(await get("/xchg/positions"))["positions"],
        balances=(await get("/xchg/balances"))["balances"],
    )


async def read_executed(redis: Redis) -> list[Row]:
    entries: Any = await redis.xrange(EXECUTED)
    return [fields for _, fields in entries]


def count_kinds(rows: Iterable[Row], names: Collection[str]) -> Counter[str]:
    return Counter(" ".join(str(row[name]) for name in names) for row in rows)
