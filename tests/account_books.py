"""Compares the simulator's books with what the service knows and has published, one by one.

`differences` has one line for each order, trade, position or balance that is not the same on both
sides. What was sent is the caller's own list: neither side says which orders are ours.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
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
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRequest, SpotOco, family_of
from chimera_s1.domain.execution.reports import FillReport
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.ports.event_store import READ_LIMIT_MAX
from tests.simulator_client import SimulatorClient

Row: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, ...]

EXECUTED = "orders:executed"
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW", "TRIGGERING"})
PLACED = frozenset({OrderPhase.ACKNOWLEDGED, OrderPhase.CLOSED})
NOT_PLACED = frozenset({OrderPhase.REFUSED, OrderPhase.NOT_SENT, OrderPhase.ABSENT})
ENDINGS = frozenset({"CANCEL", "REJECT", "TIMEOUT"})


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


def differences(
    sent: Mapping[str, OrderRequest],
    books: ExchangeBooks,
    ledger: Ledger,
    picture: Picture,
    executed: Sequence[Row],
) -> list[str]:
    """One line for each; *sent* has every request that was given to the service."""
    return [
        *_orders_of_ours(sent, books, ledger.state),
        *_open_orders(books, picture, _ids_of_ours(sent, books)),
        *_trades(books, ledger, _ids_of_ours(sent, books)),
        *_published_fills(ledger, executed),
        *_published_orders(ledger.state, executed),
        *_positions(books, ledger.state, picture),
        *_balances(books, picture),
    ]


def _ids_of_ours(sent: Mapping[str, OrderRequest], books: ExchangeBooks) -> dict[Key, str]:
    """Each order at the exchange that is ours, a leg or a child of ours, and our client id."""
    owners = {name: client_id for client_id, request in sent.items() for name in _names(request)}
    ours, algos = {}, {}
    for row in books.orders:
        owner = owners.get(row["client_id"])
        if owner is not None and row["origin"] == "api" and not row.get("algo_id"):
            ours[_key(row)] = owner
            if row["algo"]:
                algos[row["order_id"]] = owner
    for row in books.orders:
        if row.get("algo_id") in algos:
            ours[_key(row)] = algos[row["algo_id"]]
    return ours


def _names(request: OrderRequest) -> tuple[str, ...]:
    if isinstance(request, SpotOco):
        return request.take_profit.client_id, request.stop.client_id
    return (request.client_id,)


def _key(row: Row) -> Key:
    """An algo order's id is no order id."""
    family = "algo" if row["algo"] else "order"
    return row["venue"], family, row["symbol"], str(row["order_id"])


def _orders_of_ours(
    sent: Mapping[str, OrderRequest], books: ExchangeBooks, state: ExecutionState
) -> Iterator[str]:
    rows: dict[str, list[Row]] = defaultdict(list)
    ours = _ids_of_ours(sent, books)
    for row in books.orders:
        owner = ours.get(_key(row))
        if owner is not None:
            rows[owner].append(row)
    for client_id, request in sent.items():
        order = state.orders.get(client_id)
        found = rows.get(client_id, [])
        for text in _order_differences(request, order, found):
            yield f"order {client_id} ({family_of(request).value}): {text}"
    for client_id in state.orders.keys() - sent.keys():
        yield f"order {client_id} is in the ledger, but was never sent"


def _order_differences(
    request: OrderRequest, order: TrackedOrder | None, found: list[Row]
) -> Iterator[str]:
    family = family_of(request)
    children = [row for row in found if row.get("algo_id")]
    own = [row for row in found if row not in children]
    expected = 2 if family is OrderFamily.SPOT_LIST else 1
    if not own:
        if order is not None and order.phase not in NOT_PLACED:
            yield f"the exchange does not have it; in the ledger it is {order.phase}"
        return
    if len(own) != expected:
        yield f"the exchange has {len(own)} orders of this id, not {expected}: sent twice"
        return
    if order is None:
        yield "the exchange has it, the ledger does not"
        return
    if order.phase not in PLACED:
        yield f"the exchange has it ({own[0]['status']}); in the ledger it is {order.phase}"
        return
    filled = sum((Decimal(row["filled_qty"]) for row in found if not row["algo"]), Decimal(0))
    yield from _unequal("filled quantity", order.filled_qty, filled)
    yield from _unequal("quantity of the recorded trades", order.fills.qty, filled)
    is_open = any(row["status"] in OPEN for row in found)
    yield from _unequal("open", order.is_open, is_open)
    if family is OrderFamily.SPOT_LIST:
        yield from _unequal("list id", order.exchange_id, str(own[0]["list_id"]))
        parts = own
    else:
        yield from _unequal("exchange id", order.exchange_id, str(own[0]["order_id"]))
        yield from _unequal("status", order.status, own[0]["status"])
        parts = children
    for row in parts:
        child = order.children.get(str(row["order_id"]))
        if child is None:
            yield f"child order {row['order_id']} ({row['status']}) is not known"
            continue
        yield from _unequal(f"status of {row['order_id']}", child.status, row["status"])
        yield from _unequal(
            f"filled quantity of {row['order_id']}", child.filled_qty, Decimal(row["filled_qty"])
        )


def _open_orders(books: ExchangeBooks, picture: Picture, ours: Mapping[Key, str]) -> Iterator[str]:
    shown = {
        _picture_key(row): row for row in picture.orders if row["family"] != OrderFamily.SPOT_LIST
    }
    true = {_key(row): row for row in books.open_orders()}
    triggered = {_key(row) for row in books.orders if row["status"] == "TRIGGERED"}
    for key in shown.keys() - true.keys() - (triggered & ours.keys()):  # their children are open
        row = shown[key]
        yield f"picture: {key} {row['client_order_id']} is open, at the exchange it is not"
    for key, row in true.items():
        seen = shown.get(key)
        if seen is None:
            yield f"picture: {key} {row['client_id']} is open at the exchange, and missing"
            continue
        where = f"picture: {key} {row['client_id']}: "
        yield from _unequal(f"{where}ours", seen["ours"], key in ours)
        yield from _unequal(f"{where}status", seen["status"], row["status"])
        for name, theirs in (("qty", "qty"), ("filled_qty", "filled_qty")):
            if key[1] == "order" or name == "qty":
                yield from _unequal(f"{where}{name}", Decimal(seen[name]), Decimal(row[theirs]))
    lists = {str(row["list_id"]) for row in true.values() if row.get("list_id", -1) != -1}
    listed = {row["order_id"] for row in picture.orders if row["family"] == OrderFamily.SPOT_LIST}
    yield from _unequal("picture: order lists", listed, lists)


def _picture_key(row: Row) -> Key:
    family = "algo" if row["family"] == OrderFamily.PERP_ALGO else "order"
    return row["venue"], family, row["symbol"], row["order_id"]


def _trades(books: ExchangeBooks, ledger: Ledger, ours: Mapping[Key, str]) -> Iterator[str]:
    known = {
        (key.venue.value, str(key.symbol), key.order_id, key.trade_id): fill
        for key, fill in ledger.state.fills.items()
    }
    true: dict[Key, Row] = {_trade_key(row): row for row in books.trades}
    if len(true) != len(books.trades):
        yield "the exchange's books have a trade twice"
    for key in known.keys() - true.keys():
        yield f"trade {key} is in the ledger, and not in the exchange's books"
    for name, row in true.items():
        venue, symbol, order_id, trade_id = name
        found = known.get((venue, symbol, order_id, trade_id))
        if found is None:
            yield f"trade {name} of {row['client_id']} is not in the ledger"
            continue
        fill, where = found.fill, f"trade {name} of {row['client_id']}: "
        owner = ours.get((venue, "order", symbol, order_id), "")
        yield from _unequal(f"{where}order of ours", found.client_id, owner)
        yield from _unequal(f"{where}events in the ledger", len(ledger.fill_ids[name]), 1)
        yield from _unequal(f"{where}side", fill.side, row["side"])
        yield from _unequal(f"{where}maker", fill.maker, row["maker"])
        yield from _unequal(f"{where}asset", fill.commission_asset, row["commission_asset"])
        for field in ("qty", "price", "commission"):
            yield from _unequal(f"{where}{field}", getattr(fill, field), Decimal(row[field]))


def _trade_key(row: Row) -> Key:
    return row["venue"], row["symbol"], str(row["order_id"]), str(row["trade_id"])


def _published_fills(ledger: Ledger, executed: Sequence[Row]) -> Iterator[str]:
    published: dict[Key, set[str]] = defaultdict(set)
    for row in executed:
        if row["kind"] == "FILL":
            published[row["event_id"],].add(_terms_of(row))
    recorded: dict[str, Key] = {ids[0]: key for key, ids in ledger.fill_ids.items()}
    for (event_id,) in published.keys() - {(event_id,) for event_id in recorded}:
        yield f"{EXECUTED}: FILL {event_id} is not in the ledger"
    by_id: dict[Key, FillReport] = {
        (key.venue.value, str(key.symbol), key.order_id, key.trade_id): fill.fill
        for key, fill in ledger.state.fills.items()
    }
    for event_id, key in recorded.items():
        terms = published.get((event_id,), set())
        fill = by_id[key]
        expected = f"{key[0]} {key[1]} {key[2]} {fill.side} {fill.qty.normalize():f}"
        yield from _unequal(f"{EXECUTED}: trade {key}", terms, {expected})


def _terms_of(row: Row) -> str:
    qty = Decimal(row["qty"]).normalize()
    return f"{row['venue']} {row['symbol']} {row['order_id']} {row['side']} {qty:f}"


def _published_orders(state: ExecutionState, executed: Iterable[Row]) -> Iterator[str]:
    """One acknowledgement for each order that was placed, one end for each that was not filled."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in executed:
        kind = "END" if row["kind"] in ENDINGS else row["kind"]
        if row["source"] == "s1" and kind != "FILL":
            ids[row["client_order_id"], kind].add(row["event_id"])
    for client_id, order in state.orders.items():
        acks = int(order.phase in PLACED)
        ending = order.ending.value if order.ending else ""
        ends = int(order.phase in NOT_PLACED or ending not in {"", "filled"})
        for kind, count in (("ACK", acks), ("END", ends)):
            found = len(ids.get((client_id, kind), ()))
            yield from _unequal(f"{EXECUTED}: {kind} entries of {client_id}", found, count)


def _positions(books: ExchangeBooks, state: ExecutionState, picture: Picture) -> Iterator[str]:
    true = {row["symbol"]: Decimal(row["qty"]) for row in books.positions}
    known = {str(key.symbol): each.qty for key, each in state.positions.positions.items()}
    shown = {row["symbol"]: row for row in picture.positions}
    for symbol in sorted(true.keys() | known.keys() | shown.keys()):
        qty = true.get(symbol, Decimal(0))
        row = shown.get(symbol, {"qty": "0", "known_qty": str(known.get(symbol, 0))})
        yield from _unequal(f"position {symbol} by trades", known.get(symbol, Decimal(0)), qty)
        yield from _unequal(f"position {symbol} in the picture", Decimal(row["qty"]), qty)
        yield from _unequal(f"position {symbol}: known_qty", Decimal(row["known_qty"]), qty)


def _balances(books: ExchangeBooks, picture: Picture) -> Iterator[str]:
    shown = {(row["wallet"], row["asset"]): row for row in picture.balances}
    for venue, wallet in (("spot", "SPOT"), ("perp", "FUT")):
        for asset, true in books.assets[venue].items():
            row = shown.get((wallet, asset), {"free": "0", "locked": "0"})
            for name in ("free", "locked") if wallet == "SPOT" else ("free",):
                what = f"balance {wallet} {asset} {name}"
                yield from _unequal(what, Decimal(row[name]), Decimal(true[name]))


def _unequal(what: str, ours: object, theirs: object) -> Iterator[str]:
    if ours != theirs:
        yield f"{what}: {ours}, at the exchange {theirs}"


def count_kinds(rows: Iterable[Row], names: Collection[str]) -> Counter[str]:
    return Counter(" ".join(str(row[name]) for name in names) for row in rows)
