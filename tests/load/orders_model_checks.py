"""Compare what the service knows with the desks' own books, one by one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from chimera_s1.adapters.memory.event_store import MemoryEventStore
from chimera_s1.adapters.simulator.matching.records import (
    AlgoOrder,
    Order,
    OrderList,
    Origin,
    Trade,
)
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.domain.execution.event_records import decode_event
from chimera_s1.domain.execution.events import FillRecorded, OrderAbsent
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reconciliation import DifferenceKind
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_events import OrderEventKind

if TYPE_CHECKING:
    from tests.load.orders_model import Replica, World

_Key = TypeVar("_Key")
AtDesk: TypeAlias = Order | OrderList | AlgoOrder
_NOT_THERE = frozenset({OrderPhase.REFUSED, OrderPhase.NOT_SENT, OrderPhase.ABSENT})
_THERE = frozenset({OrderPhase.ACKNOWLEDGED, OrderPhase.CLOSED})


async def violations_of(world: "World") -> list[str]:
    """Of the ledger as a new process reads it, and of each process that runs."""
    fresh = ExecutionLedger(
        _store(world),
        clock=world.clock,
        new_id=world.new_id,
        draw=lambda: 0.0,
        report_unknown=lambda _, __: None,
    )
    await fresh.engine.catch_up()
    found = [f"ledger: {each}" for each in _of_state(world, fresh.state)]
    found += _of_requests(world)
    found += await _of_events(world)
    for number, replica in enumerate(world.replicas):
        found += [f"replica {number}: {each}" for each in _of_replica(world, replica, fresh.state)]
    return found


def _store(world: "World") -> MemoryEventStore:
    store = MemoryEventStore("execution")
    store.contents = world.contents
    return store


def _of_requests(world: "World") -> Iterator[str]:
    for client_id, arrived in world.exchange.arrived.items():
        if arrived > 1:
            yield f"{client_id} was sent {arrived} times"
    twice = Counter(each.client_id for each in _placed(world))
    yield from (f"{name} exists {number} times" for name, number in twice.items() if number > 1)


def _placed(world: "World") -> Iterator[AtDesk]:
    """Every order of ours at the exchange, without children and legs."""
    exchange = world.exchange
    orders = (*exchange.spot.orders.all(), *exchange.perp.every_order())
    singles = (each for each in orders if each.list_id == -1 and not each.algo_id)
    placed: Iterable[AtDesk] = (
        *singles,
        *exchange.spot.all_lists(),
        *exchange.perp.every_algo(),
    )
    for each in placed:
        if each.client_id in world.sent and _is_api(each):
            yield each


def _is_api(each: AtDesk) -> bool:
    """Not placed by others, with a client id that we have used."""
    return isinstance(each, OrderList) or each.origin is Origin.API


def _of_state(world: "World", state: ExecutionState) -> Iterator[str]:
    at_desk = {each.client_id: each for each in _placed(world)}
    for client_id in at_desk.keys() - state.orders.keys():
        yield f"{client_id} is at the exchange and not in the ledger"
    for client_id, order in state.orders.items():
        yield from _of_order(world, order, at_desk.get(client_id))
    yield from _of_fills(world, state)
    yield from _of_positions(world, state)


def _of_order(world: "World", order: TrackedOrder, there: AtDesk | None) -> Iterator[str]:
    name = f"{order.client_id} ({order.family.value})"
    if there is None:
        if order.phase not in _NOT_THERE:
            yield f"{name} is {order.phase.value}, and does not exist"
        return
    if order.phase not in _THERE:
        yield f"{name} is {order.phase.value}, and exists: {there.status}"
        return
    if order.is_open is not there.is_open:
        yield f"{name} is {order.phase.value}, and at the exchange {there.status}"
    ours = (order.status, order.exchange_id, order.filled_qty, order.fills.qty, order.fills.value)
    theirs = (there.status, _id_of(there), *_filled(world, there))
    if ours != theirs:
        yield f"{name}: {ours} is at the exchange {theirs}"
    for child in _children(world, there):
        known = order.children.get(str(child.order_id))
        seen = (known.status, known.filled_qty) if known else None
        if seen != (child.status, child.filled_qty):
            yield f"{name}: child {child.order_id} {seen} is {child.status} {child.filled_qty}"


def _id_of(there: AtDesk) -> str:
    if isinstance(there, AlgoOrder):
        return str(there.algo_id)
    return str(there.list_id if isinstance(there, OrderList) else there.order_id)


def _children(world: "World", there: AtDesk) -> list[Order]:
    if isinstance(there, AlgoOrder):
        child = world.exchange.perp.orders.current(there.symbol, there.child_id)
        return [child] if child else []
    return world.exchange.spot.legs(there) if isinstance(there, OrderList) else []


def _filled(world: "World", there: AtDesk) -> tuple[Decimal, Decimal, Decimal]:
    orders = [there] if isinstance(there, Order) else _children(world, there)
    qty = sum((each.filled_qty for each in orders), Decimal(0))
    return qty, qty, sum((each.filled_quote for each in orders), Decimal(0))


def _trades(world: "World") -> Iterator[Trade]:
    yield from world.exchange.spot.orders.trades()
    yield from world.exchange.perp.orders.trades()


def _of_fills(world: "World", state: ExecutionState) -> Iterator[str]:
    ours = {
        (key.venue, key.order_id, key.trade_id): (
            known.fill.qty,
            known.fill.price,
            known.fill.commission,
            known.fill.commission_asset,
            known.fill.side,
            known.client_id,
        )
        for key, known in state.fills.items()
    }
    theirs = {
        (each.venue, str(each.order_id), str(each.trade_id)): (
            each.qty,
            each.price,
            each.commission,
            each.commission_asset,
            each.side,
            _owner(world, each),
        )
        for each in _trades(world)
    }
    yield from _differences("fill", ours, theirs)


def _owner(world: "World", trade: Trade) -> str:
    """The client id of the order of ours that the trade belongs to."""
    exchange = world.exchange
    if trade.venue is Venue.SPOT:
        order = exchange.spot.orders.current(trade.symbol, trade.order_id)
        assert order is not None
        client_id = order.client_id
        if order.list_id != -1:
            client_id = exchange.spot.list_of(order).client_id
    else:
        order = exchange.perp.orders.current(trade.symbol, trade.order_id)
        assert order is not None
        client_id = order.client_id
        if order.algo_id:
            algo = exchange.perp.algos.store.current(order.algo_id)
            client_id = algo.client_id if algo else ""
    return client_id if client_id in world.sent and _is_api(order) else ""


def _of_positions(world: "World", state: ExecutionState) -> Iterator[str]:
    ours = {
        str(key.symbol): each.qty for key, each in state.positions.positions.items() if each.qty
    }
    theirs = {each.symbol: each.qty for each in world.exchange.perp.positions() if each.qty}
    yield from _differences("position", ours, theirs)


async def _of_events(world: "World") -> list[str]:
    recorded: Counter[object] = Counter()
    absent: set[str] = set()
    entries = await _store(world).read(0, 1_000)
    for entry in entries:
        for record in entry.commit.events:
            event = decode_event(record)
            if isinstance(event, FillRecorded):
                recorded[event.fill.key] += 1
            if isinstance(event, OrderAbsent):
                absent.add(event.client_id)
    found = [f"{key} is recorded {n} times" for key, n in recorded.items() if n > 1]
    existing = {each.client_id for each in _placed(world)} - world.exchange.executed_late
    found += [f"{name} exists, and was called absent" for name in sorted(absent & existing)]
    corrected = {each.corrects for each in world.executed.events}
    published = {
        each.event_id: each for each in world.executed.events if each.event_id not in corrected
    }
    fills = Counter(
        (each.venue, each.order_id, each.price, each.qty)
        for each in published.values()
        if each.kind is OrderEventKind.FILL
    )
    trades = Counter(
        (each.venue.value, str(each.order_id), each.price, each.qty) for each in _trades(world)
    )
    if fills != trades:
        found.append(f"orders:executed: {fills - trades} too many, {trades - fills} missing")
    acknowledged = Counter(
        each.client_order_id for each in published.values() if each.kind is OrderEventKind.ACK
    )
    expected = Counter(each.client_id for each in _placed(world))
    if acknowledged != expected:
        found.append(
            f"orders:executed: ACK of {acknowledged - expected}, not {expected - acknowledged}"
        )
    return found


def _of_replica(world: "World", replica: "Replica", state: ExecutionState) -> Iterator[str]:
    if dict(replica.ledger.state.orders) != dict(state.orders):
        yield "its orders are not the ledger's"
    if dict(replica.ledger.state.fills) != dict(state.fills):
        yield "its fills are not the ledger's"
    exchange, picture = world.exchange, replica.picture
    orders = {
        (row.family, row.order_id): (row.status, row.filled_qty) for row in picture.open_orders()
    }
    yield from _differences("open order", orders, _open(world))
    positions = {str(row.symbol): (row.qty, row.known_qty) for row in picture.positions()}
    held = {each.symbol: (each.qty, each.qty) for each in exchange.perp.positions() if each.qty}
    yield from _differences("picture's position", positions, held)
    yield from _differences(
        "balance",
        {(row.wallet, row.asset): (row.free, row.locked) for row in picture.balances()},
        {
            (wallet, each.asset): (round(each.free, 8), round(each.locked, 8))
            for wallet, desk in (("SPOT", exchange.spot), ("FUT", exchange.perp))
            for each in desk.balances()
            if each.free or each.locked
        },
    )
    last = replica.reconcile.last
    assert last is not None
    left = [each for each in last.differences if each.kind is not DifferenceKind.ORDER_UNKNOWN]
    if left or last.problems:
        yield f"the last reconciliation: {left} {last.problems}"
    yield from _of_reports(world, replica)


def _of_reports(world: "World", replica: "Replica") -> Iterator[str]:
    """Only what there is to be said, and that of each order that looks like ours."""
    orders = (*world.exchange.spot.orders.all(), *world.exchange.perp.every_order())
    foreign = {each.client_id for each in orders if not _is_api(each)}
    said = {
        str(detail["client_order_id"])
        for kind, detail in (*world.said, *replica.events)
        if kind == "execution.order_unknown"
    }
    if not said <= foreign:
        yield f"execution.order_unknown of {said - foreign}"
    for kind, detail in (*world.said, *replica.events):
        if (
            kind == "execution.order_reappeared"
            and detail["subject"] in world.exchange.executed_late
        ):
            continue
        if kind not in {"execution.fills_found", "execution.order_unknown"}:
            yield f"{kind} {detail}"


def _open(world: "World") -> dict[tuple[OrderFamily, str], tuple[str, Decimal]]:
    spot, perp = world.exchange.spot, world.exchange.perp
    families = (
        (OrderFamily.SPOT_ORDER, spot.orders.open()),
        (OrderFamily.PERP_ORDER, perp.orders.open()),
    )
    rows = {
        (family, str(each.order_id)): (each.status, each.filled_qty)
        for family, orders in families
        for each in orders
    }
    rows.update(
        ((OrderFamily.SPOT_LIST, str(each.list_id)), (each.status, Decimal(0)))
        for each in spot.open_lists()
    )
    rows.update(
        ((OrderFamily.PERP_ALGO, str(each.algo_id)), (each.status, Decimal(0)))
        for each in perp.algos.store.open()
    )
    return rows


def _differences(
    what: str, ours: Mapping[_Key, object], theirs: Mapping[_Key, object]
) -> Iterator[str]:
    for key in sorted({*ours, *theirs}, key=str):
        if ours.get(key) != theirs.get(key):
            yield f"{what} {key}: {ours.get(key)} is at the exchange {theirs.get(key)}"
