"""Compares the simulator's books with what the service knows and has published, one by one.

`compared` has one row for each kind of thing, and in it a line for each order, trade, position or
balance that is not the same on both sides. What was sent is the caller's own list: neither side
says which orders are ours.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.execution.execution_state import ExecutionState, KnownFill
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRequest, SpotOco, family_of
from chimera_s1.domain.execution.position_check import PositionKey
from chimera_s1.domain.execution.reports import FillReport
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Symbol
from tests.account_books import EXECUTED, OPEN, ExchangeBooks, Key, Ledger, Picture, Row

PLACED = frozenset({OrderPhase.ACKNOWLEDGED, OrderPhase.CLOSED})
NOT_PLACED = frozenset({OrderPhase.REFUSED, OrderPhase.NOT_SENT, OrderPhase.ABSENT})
ENDINGS = frozenset({"CANCEL", "REJECT", "TIMEOUT"})


class Compared(Struct, frozen=True):
    """Attributes:
    exchange, service: How many each side has.
    differences: One line for each.
    """

    what: str
    exchange: int
    service: int
    differences: tuple[str, ...]


def compared(
    sent: Mapping[str, OrderRequest],
    books: ExchangeBooks,
    ledger: Ledger,
    picture: Picture,
    executed: Sequence[Row],
) -> tuple[Compared, ...]:
    """*sent* has every request that was given to the service."""
    ours = _ids_of_ours(sent, books)
    return (
        _orders_of_ours(sent, books, ledger.state, ours),
        _trades("fills of ours", _Trades(books, ledger, ours, of_ours=True)),
        _trades("fills of others", _Trades(books, ledger, ours, of_ours=False)),
        _open_orders(books, picture, ours),
        _positions(books, ledger.state, picture),
        _balances(books, picture),
        _published_fills(ledger, executed),
        _published_orders(ledger.state, executed),
    )


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
    sent: Mapping[str, OrderRequest],
    books: ExchangeBooks,
    state: ExecutionState,
    ours: Mapping[Key, str],
) -> Compared:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in books.orders:
        owner = ours.get(_key(row))
        if owner is not None:
            rows[owner].append(row)
    placed = sum(order.phase in PLACED for order in state.orders.values())
    lines = _lines_of_orders(sent, state, rows)
    return Compared("orders of ours", len(rows), placed, tuple(lines))


def _lines_of_orders(
    sent: Mapping[str, OrderRequest], state: ExecutionState, rows: Mapping[str, list[Row]]
) -> Iterator[str]:
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


def _open_orders(books: ExchangeBooks, picture: Picture, ours: Mapping[Key, str]) -> Compared:
    triggered = {_key(row) for row in books.orders if row["status"] == "TRIGGERED"}
    children_open = triggered & ours.keys()
    rows = {_picture_key(row): row for row in picture.orders}
    shown = {
        key: row
        for key, row in rows.items()
        if row["family"] != OrderFamily.SPOT_LIST and key not in children_open
    }
    true = {_key(row): row for row in books.open_orders()}
    lines = (*_lines_of_open(true, shown, ours), *_lines_of_lists(true, picture))
    return Compared("open orders", len(true), len(shown), lines)


def _lines_of_open(
    true: Mapping[Key, Row], shown: Mapping[Key, Row], ours: Mapping[Key, str]
) -> Iterator[str]:
    for key in shown.keys() - true.keys():
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


def _lines_of_lists(true: Mapping[Key, Row], picture: Picture) -> Iterator[str]:
    lists = {str(row["list_id"]) for row in true.values() if row.get("list_id", -1) != -1}
    listed = {row["order_id"] for row in picture.orders if row["family"] == OrderFamily.SPOT_LIST}
    yield from _unequal("picture: order lists", listed, lists)


def _picture_key(row: Row) -> Key:
    family = "algo" if row["family"] == OrderFamily.PERP_ALGO else "order"
    return row["venue"], family, row["symbol"], row["order_id"]


class _Trades:
    """The trades of our orders, or of all others, on both sides."""

    def __init__(
        self, books: ExchangeBooks, ledger: Ledger, ours: Mapping[Key, str], *, of_ours: bool
    ) -> None:
        self.owners = ours
        self.fill_ids = ledger.fill_ids
        self.rows = [row for row in books.trades if bool(self.owner(_trade_key(row))) == of_ours]
        self.known: dict[Key, KnownFill] = {
            (key.venue.value, str(key.symbol), key.order_id, key.trade_id): fill
            for key, fill in ledger.state.fills.items()
            if bool(fill.client_id) == of_ours
        }

    def owner(self, trade: Key) -> str:
        """Client id of the order of ours; empty for those of others."""
        venue, symbol, order_id, _ = trade
        return self.owners.get((venue, "order", symbol, order_id), "")


def _trades(what: str, trades: _Trades) -> Compared:
    return Compared(what, len(trades.rows), len(trades.known), tuple(_lines_of_trades(trades)))


def _lines_of_trades(trades: _Trades) -> Iterator[str]:
    true: dict[Key, Row] = {_trade_key(row): row for row in trades.rows}
    if len(true) != len(trades.rows):
        yield "the exchange's books have a trade twice"
    for key in trades.known.keys() - true.keys():
        yield f"trade {key} is one of these in the ledger only"
    for name, row in true.items():
        found = trades.known.get(name)
        if found is None:
            yield f"trade {name} of {row['client_id']} is one of these at the exchange only"
            continue
        fill, where = found.fill, f"trade {name} of {row['client_id']}: "
        yield from _unequal(f"{where}order of ours", found.client_id, trades.owner(name))
        yield from _unequal(f"{where}events in the ledger", len(trades.fill_ids[name]), 1)
        yield from _unequal(f"{where}side", fill.side, row["side"])
        yield from _unequal(f"{where}maker", fill.maker, row["maker"])
        yield from _unequal(f"{where}asset", fill.commission_asset, row["commission_asset"])
        for field in ("qty", "price", "commission"):
            yield from _unequal(f"{where}{field}", getattr(fill, field), Decimal(row[field]))


def _trade_key(row: Row) -> Key:
    return row["venue"], row["symbol"], str(row["order_id"]), str(row["trade_id"])


def _published_fills(ledger: Ledger, executed: Sequence[Row]) -> Compared:
    published: dict[Key, set[str]] = defaultdict(set)
    for row in executed:
        if row["kind"] == "FILL":
            # One that corrects says the same of the trade, and whose it is.
            name: str = row.get("corrects") or row["event_id"]
            published[name,].add(_terms_of(row))
    lines = _lines_of_fills(ledger, published)
    return Compared(f"FILL of {EXECUTED}", len(ledger.fill_ids), len(published), tuple(lines))


def _lines_of_fills(ledger: Ledger, published: Mapping[Key, set[str]]) -> Iterator[str]:
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


def _published_orders(state: ExecutionState, executed: Iterable[Row]) -> Compared:
    """One acknowledgement for each order that was placed, one end for each that was not filled. The
    end of an order that was absent at first, and executed late, does not count.
    """
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    absent = {name for name, each in state.orders.items() if each.phase is OrderPhase.ABSENT}
    for row in executed:
        kind = "END" if row["kind"] in ENDINGS else row["kind"]
        absence = row.get("reason") == "absent at the exchange"
        reopened = absence and row["client_order_id"] not in absent
        if row["source"] == "s1" and kind != "FILL" and not reopened:
            ids[row["client_order_id"], kind].add(row["event_id"])
    due = {}
    for client_id, order in state.orders.items():
        ending = order.ending.value if order.ending else ""
        due[client_id, "ACK"] = int(order.phase in PLACED)
        due[client_id, "END"] = int(order.phase in NOT_PLACED or ending not in {"", "filled"})
    lines = [
        line
        for name in due.keys() | ids.keys()
        for line in _unequal(
            f"{EXECUTED}: {name[1]} entries of {name[0]}", len(ids.get(name, ())), due.get(name, 0)
        )
    ]
    found = sum(len(each) for each in ids.values())
    return Compared(f"ACK and ends of {EXECUTED}", sum(due.values()), found, tuple(lines))


def _positions(books: ExchangeBooks, state: ExecutionState, picture: Picture) -> Compared:
    true = {
        PositionKey(Symbol(row["symbol"]), row["side"]): Decimal(row["qty"])
        for row in books.positions
    }
    known = {key: each.qty for key, each in state.positions.positions.items() if each.qty}
    shown = {
        PositionKey(Symbol(row["symbol"]), row["position_side"]): row for row in picture.positions
    }
    lines: list[str] = []
    for key in sorted(true.keys() | known.keys() | shown.keys()):
        qty = true.get(key, Decimal(0))
        by_trades = known.get(key, Decimal(0))
        row = shown.get(key, {"qty": "0", "known_qty": str(by_trades)})
        where = f"position {key.symbol} {key.side}"
        lines += _unequal(f"{where} by trades", by_trades, qty)
        lines += _unequal(f"{where} in the picture", Decimal(row["qty"]), qty)
        lines += _unequal(f"{where}: known_qty", Decimal(row["known_qty"]), qty)
    return Compared("positions", len(true), len(shown), tuple(lines))


def _balances(books: ExchangeBooks, picture: Picture) -> Compared:
    shown = {(row["wallet"], row["asset"]): row for row in picture.balances}
    wallets = {"SPOT": books.assets["spot"], "FUT": books.assets["perp"]}
    true = {
        (wallet, asset): row
        for wallet, assets in wallets.items()
        for asset, row in assets.items()
        if Decimal(row["free"]) or Decimal(row["locked"])
    }
    nothing = {"free": "0", "locked": "0"}
    lines: list[str] = []
    for wallet, asset in sorted(true.keys() | shown.keys()):
        ours, theirs = (side.get((wallet, asset), nothing) for side in (shown, true))
        for name in ("free", "locked") if wallet == "SPOT" else ("free",):
            what = f"balance {wallet} {asset} {name}"
            lines += _unequal(what, Decimal(ours[name]), Decimal(theirs[name]))
    return Compared("balances", len(true), len(shown), tuple(lines))


def _unequal(what: str, ours: object, theirs: object) -> Iterator[str]:
    if ours != theirs:
        yield f"{what}: {ours}, at the exchange {theirs}"
