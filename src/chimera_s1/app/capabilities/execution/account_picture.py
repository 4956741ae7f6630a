"""What the account holds: open orders, positions and balances, ours and foreign, in memory."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Generic, TypeAlias, TypeVar, assert_never

from msgspec import Struct

from chimera_s1.domain.execution.account_rows import (
    BalanceRow,
    OpenOrderRow,
    PositionRow,
    listed_row,
    tracked_row,
)
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_index import OrderKey
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.order_status import is_closed
from chimera_s1.domain.execution.position_check import KnownPosition, PositionKey, key_of
from chimera_s1.domain.execution.reconciliation import ListedOrder
from chimera_s1.domain.execution.reconciliation_report import BalanceCorrection
from chimera_s1.domain.execution.reports import (
    AccountReport,
    BalanceReport,
    FillReport,
    OrderListReport,
    OrderReport,
    PositionReport,
)
from chimera_s1.domain.execution.tracked_order import StatusKey, TrackedOrder, status_key
from chimera_s1.domain.identifiers import Symbol, Venue

ORDERS_MAX = 10_000
"""Binance allows some hundreds of open orders a symbol. The oldest one is dropped, and counted."""

_SPOT_WALLET = "SPOT"
_Key = TypeVar("_Key")
_Report = TypeVar("_Report")
_BalanceKey: TypeAlias = tuple[str, str]


class _Seen(Struct, Generic[_Report], frozen=True):
    """Attributes:
    at_ms: The exchange said so then, on a stream or in a read.
    heard_ms: When a stream said so; 0 if a read did.
    """

    report: _Report
    at_ms: int
    heard_ms: int = 0


_Balances: TypeAlias = Mapping[_BalanceKey, _Seen[BalanceReport]]


class AccountPicture:
    """Moved by the reports of the private streams, and corrected by reads. A read may lag behind
    the streams by `QUERY_LAG_MS`.

    Args:
        state: Of the execution ledger: it decides which orders are ours.

    Attributes:
        dropped: So many orders found no room.
        read_ms: When each venue was last read; exchange epoch ms.
    """

    def __init__(self, state: ExecutionState, *, orders_max: int = ORDERS_MAX) -> None:
        self._state = state
        self._orders_max = orders_max
        self._orders: dict[OrderKey, _Seen[ListedOrder]] = {}
        self._closed: dict[OrderKey, int] = {}
        self._positions: dict[PositionKey, _Seen[PositionReport]] = {}
        self._balances: dict[_BalanceKey, _Seen[BalanceReport]] = {}
        self._balances_read: set[Venue] = set()
        self.dropped = 0
        self.read_ms: dict[Venue, int] = {}

    def apply(self, report: AccountReport) -> None:
        """Take a report of a private stream, or of a look-up."""
        match report:
            case OrderReport() | OrderListReport():
                self._apply_order(_Seen(report, report.at_ms, report.at_ms))
            case PositionReport():
                _put_newer(self._positions, key_of(report), report, report.at_ms)
            case BalanceReport():
                _put_newer(self._balances, (report.wallet, report.asset), report, report.at_ms)
            case FillReport():
                pass
            case _:
                assert_never(report)

    def take_orders(
        self,
        venue: Venue,
        listed: Iterable[ListedOrder],
        read_from_ms: int,
        *,
        is_complete: bool = True,
    ) -> None:
        """Take what a read lists as open on *venue*; if it *is_complete*, the rest is not."""
        stale_from_ms = read_from_ms - QUERY_LAG_MS
        found = {_order_key(report): report for report in listed}
        missing = [key for key in self._orders if key[0].venue is venue and key not in found]
        for key in missing if is_complete else ():
            if self._orders[key].heard_ms <= stale_from_ms:
                del self._orders[key]
        for key, report in found.items():
            if self._closed.get(key, 0) <= stale_from_ms:
                self._apply_order(_Seen(report, max(read_from_ms, report.at_ms)))
        self.read_ms[venue] = read_from_ms

    def replace_positions(self, read: Iterable[PositionReport], read_from_ms: int) -> None:
        found = {key_of(report): report for report in read}
        self._positions = _corrected(self._positions, found, read_from_ms)

    def replace_balances(
        self, venue: Venue, read: Iterable[BalanceReport], read_from_ms: int
    ) -> tuple[BalanceCorrection, ...]:
        """Returns what the streams had not said; nothing at the first read."""
        before = {key: row for key, row in self._balances.items() if _venue_of(key) is venue}
        found = {(report.wallet, report.asset): report for report in read}
        after = _corrected(before, found, read_from_ms)
        others = {key: row for key, row in self._balances.items() if key not in before}
        self._balances = {**others, **after}
        is_first = venue not in self._balances_read
        self._balances_read.add(venue)
        return () if is_first else tuple(_corrections(before, after))

    def open_orders(self, venue: Venue | None = None) -> tuple[OpenOrderRow, ...]:
        """Of both venues where *venue* is None; by venue, symbol and client id."""
        listed: set[str] = set()
        rows = list(self._listed_rows(listed))
        unlisted = (each for each in self._state.open_orders() if each.client_id not in listed)
        rows += map(tracked_row, unlisted)
        chosen = (row for row in rows if venue in {None, row.venue})
        return tuple(
            sorted(chosen, key=lambda row: (row.venue, row.symbol, row.client_id, row.order_id))
        )

    def positions(self) -> tuple[PositionRow, ...]:
        known = self._state.positions.positions
        rows = (
            PositionRow(
                symbol=key.symbol,
                position_side=key.side,
                qty=seen.report.qty,
                entry_price=seen.report.entry_price,
                known_qty=known.get(key, KnownPosition()).qty,
                at_ms=seen.at_ms,
            )
            for key, seen in self._positions.items()
            if seen.report.qty
        )
        return tuple(sorted(rows, key=lambda row: (row.symbol, row.position_side)))

    def balances(self) -> tuple[BalanceRow, ...]:
        rows = (
            BalanceRow(
                wallet=seen.report.wallet,
                asset=seen.report.asset,
                free=seen.report.free,
                locked=seen.report.locked,
                at_ms=seen.at_ms,
            )
            for seen in self._balances.values()
            if seen.report.free or seen.report.locked
        )
        return tuple(sorted(rows, key=lambda row: (row.wallet, row.asset)))

    def symbols(self, venue: Venue) -> set[Symbol]:
        """With an open order, or a position."""
        held = {key.symbol for key in self._positions} if venue is Venue.PERP else set()
        return held | {key[1] for key in self._orders if key[0].venue is venue}

    def _apply_order(self, seen: _Seen[ListedOrder]) -> None:
        key = _order_key(seen.report)
        if is_closed(key[0], seen.report.status):
            self._orders.pop(key, None)
            self._closed[key] = seen.at_ms
            if len(self._closed) > self._orders_max:
                del self._closed[next(iter(self._closed))]
        elif key not in self._closed or seen.at_ms > self._closed[key]:
            known = self._orders.get(key)
            if known is not None and _progress(known.report) > _progress(seen.report):
                seen = _Seen(known.report, max(known.at_ms, seen.at_ms), known.heard_ms)
            self._orders[key] = seen
            self._bound()

    def _bound(self) -> None:
        if len(self._orders) > self._orders_max:
            del self._orders[next(iter(self._orders))]
            self.dropped += 1

    def _listed_rows(self, owners: set[str]) -> Iterator[OpenOrderRow]:
        """*owners* gets the orders of ours that have a row themselves, not a child or leg."""
        for (family, _, exchange_id), seen in self._orders.items():
            owner = self._state.owner_of(seen.report)
            order = self._state.orders[owner] if owner else None
            if order is not None and order.family is family:
                owners.add(order.client_id)
            if order is None or not _has_ended(order, exchange_id):
                yield listed_row(seen.report, order, seen.at_ms)


def _order_key(report: ListedOrder) -> OrderKey:
    family = report.family if isinstance(report, OrderReport) else OrderFamily.SPOT_LIST
    return family, report.symbol, report.exchange_id


def _progress(report: ListedOrder) -> StatusKey:
    if isinstance(report, OrderListReport):
        return status_key(OrderFamily.SPOT_LIST, report.status, Decimal(0), report.at_ms)
    return status_key(report.family, report.status, report.filled_qty, report.at_ms)


def _has_ended(order: TrackedOrder, exchange_id: str) -> bool:
    """The ledger knows more than the picture: the order, its child or its leg has ended."""
    child = order.children.get(exchange_id)
    return child.is_closed if child is not None else not order.is_open


def _venue_of(key: _BalanceKey) -> Venue:
    return Venue.SPOT if key[0] == _SPOT_WALLET else Venue.PERP


def _put_newer(rows: dict[_Key, _Seen[_Report]], key: _Key, report: _Report, at_ms: int) -> None:
    known = rows.get(key)
    if known is None or at_ms >= known.at_ms:
        rows[key] = _Seen(report, at_ms, at_ms)


def _corrected(
    before: Mapping[_Key, _Seen[_Report]], found: Mapping[_Key, _Report], read_from_ms: int
) -> dict[_Key, _Seen[_Report]]:
    """What was read, except where a stream has said something that the read may lack."""
    heard_ms = read_from_ms - QUERY_LAG_MS
    heard = {key: row for key, row in before.items() if row.heard_ms > heard_ms}
    return {**{key: _Seen(report, read_from_ms) for key, report in found.items()}, **heard}


def _corrections(before: _Balances, after: _Balances) -> Iterator[BalanceCorrection]:
    for key in dict.fromkeys((*before, *after)):
        old, new = _total(before, key), _total(after, key)
        if old != new:
            wallet, asset = key
            yield BalanceCorrection(wallet=wallet, asset=asset, before=old, after=new)


def _total(balances: _Balances, key: _BalanceKey) -> Decimal:
    row = balances.get(key)
    return Decimal(0) if row is None else row.report.free + row.report.locked
