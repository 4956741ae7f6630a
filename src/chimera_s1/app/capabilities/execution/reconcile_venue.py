"""Compare one venue of the account with the ledger, and bring the ledger up to date."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.compare_positions import ComparePositions
from chimera_s1.app.capabilities.execution.execution_ledger import (
    FILL_TIME_MARGIN_MS,
    ExecutionLedger,
)
from chimera_s1.app.capabilities.execution.read_trades import ReadTrades, TradesSpan
from chimera_s1.app.capabilities.execution.record_replies import LEDGER_ERRORS
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    OtherAccountError,
)
from chimera_s1.domain.execution.foreign_orders import ForeignOrder
from chimera_s1.domain.execution.order_index import child_family
from chimera_s1.domain.execution.order_lookup import QUERY_LAG_MS
from chimera_s1.domain.execution.order_request import OrderRef
from chimera_s1.domain.execution.position_check import Mismatch
from chimera_s1.domain.execution.reconciliation import (
    Difference,
    ListedOrder,
    fills_missing,
    judge_open_orders,
    last_change_ms,
    repairs,
    trade_orders,
    vanished,
)
from chimera_s1.domain.execution.reconciliation_report import (
    BalanceCorrection,
    FirstPosition,
    VenueReconciliation,
)
from chimera_s1.domain.execution.reports import FillReport, OrderListReport, OrderReport
from chimera_s1.domain.execution.tracked_order import TrackedOrder
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.health import count
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.exchange_account import ExchangeAccount, OpenOrders
from chimera_s1.domain.ports.order_gateway import OrderFound, OrderNotFound

ACTOR: Final = "s1/reconcile"
LOOK_UPS_MAX = 100
"""Requests of one round for single orders; the other orders come in the next rounds."""

TRADES_INTERVAL_MS = 600_000
"""A stream may lose events and not notice: trades are read at least this often."""

MISSED_FILLS_SHOWN = 100
_Read = TypeVar("_Read")


class _Findings(Struct):
    """Of one round, as far as it has come."""

    read_from_ms: int
    matched: tuple[str, ...] = ()
    foreign: tuple[ForeignOrder, ...] = ()
    young: tuple[str, ...] = ()
    listed: tuple[ListedOrder, ...] = ()
    touched: set[str] = set()
    differences: list[Difference] = []
    missed_fills: list[FillReport] = []
    first_positions: tuple[FirstPosition, ...] = ()
    corrected_balances: tuple[BalanceCorrection, ...] = ()
    undecided: bool = False
    orders_read: int = 0
    trades_read: tuple[Symbol, ...] = ()
    problems: list[str] = []


class ReconcileVenue:
    """Args:
    find: `OrderGateway.find`.
    exchange_ms: The exchange's clock, epoch ms; raises `ClockUncertainError`.
    """

    def __init__(
        self,
        venue: Venue,
        *,
        ledger: ExecutionLedger,
        account: ExchangeAccount,
        find: Callable[[OrderRef], Awaitable[OrderFound | OrderNotFound]],
        trades: ReadTrades,
        picture: AccountPicture,
        clock: Clock,
        exchange_ms: Callable[[Venue], float],
    ) -> None:
        self.venue = venue
        self._ledger = ledger
        self._account = account
        self._find = find
        self._trades = trades
        self._picture = picture
        self._clock = clock
        self._exchange_ms = exchange_ms
        self._positions = ComparePositions(ledger, clock, actor=ACTOR)
        self._trades_due_ms = 0.0
        self._asked_ms: dict[str, float] = {}

    async def round(self, *, thorough: bool) -> VenueReconciliation:
        """Everything that can be read is; what cannot is among the problems."""
        if thorough:
            self._trades_due_ms = 0.0
        before = self._own_orders()
        found = _Findings(0)
        try:
            found.read_from_ms = int(self._exchange_ms(self.venue))
            await self._ledger.engine.catch_up()
            await self._reconcile(found)
        except ExchangeUnavailableError as error:
            found.problems.append(str(error))
        except LEDGER_ERRORS as error:
            found.problems.append(f"the execution ledger cannot be used: {error}")
        touched = {key: order for key, order in before.items() if key in found.touched}
        return VenueReconciliation(
            venue=self.venue,
            matched=found.matched,
            repaired=repairs(touched, self._ledger.state.orders),
            missed_fills=tuple(found.missed_fills[:MISSED_FILLS_SHOWN]),
            missed_fills_count=len(found.missed_fills),
            foreign=found.foreign,
            young=found.young,
            differences=tuple(found.differences),
            first_positions=found.first_positions,
            corrected_balances=found.corrected_balances,
            undecided=found.undecided,
            trades_read=found.trades_read,
            problems=tuple(found.problems),
        )

    async def _reconcile(self, found: _Findings) -> None:
        unreadable = self._account.unreadable_rows
        opened = await self._read(found, "open orders", self._account.open_orders(self.venue))
        if opened is not None:
            is_complete = self._is_complete(unreadable, "open orders", found)
            await self._compare_orders(opened, found, is_complete=is_complete)
        await self._read_balances(found)
        mismatches = await self._read_positions(found)
        await self._read_trades(mismatches, found)
        await self._complete_fills(found)

    async def _compare_orders(
        self, opened: OpenOrders, found: _Findings, *, is_complete: bool
    ) -> None:
        found.listed = (*opened.orders, *opened.lists)
        self._picture.take_orders(
            self.venue, found.listed, opened.read_from_ms, is_complete=is_complete
        )
        state = self._ledger.state
        judged = judge_open_orders(
            self.venue,
            self._own_orders(),
            found.listed,
            owner_of=state.owner_of,
            read_from_ms=opened.read_from_ms,
        )
        found.matched, found.young, found.foreign = judged.matched, judged.young, judged.foreign
        found.differences += judged.differences
        await self._record(found, *found.listed)
        for order in self._next(judged.look_up, found, "look-ups"):
            await self._look_up(order, found)

    async def _look_up(self, order: TrackedOrder, found: _Findings) -> None:
        what = f"order {order.client_id}"
        replies = [await self._read(found, what, self._find(ref)) for ref in order.lookup_refs()]
        for reply in replies:
            if isinstance(reply, OrderFound):
                await self._record(found, *reply.reports)
        if all(isinstance(reply, OrderNotFound) for reply in replies):
            found.differences.append(vanished(order))

    async def _read_balances(self, found: _Findings) -> None:
        read_from_ms = int(self._exchange_ms(self.venue))
        balances = await self._read_all(found, "balances", self._account.balances(self.venue))
        if balances is not None:
            found.corrected_balances = self._picture.replace_balances(
                self.venue, balances, read_from_ms
            )

    async def _read_positions(self, found: _Findings) -> tuple[Mismatch, ...]:
        if self.venue is not Venue.PERP:
            return ()
        # A trade after this moment may be in the positions, and its event may be under way.
        found.read_from_ms = int(self._exchange_ms(self.venue))
        positions = await self._read_all(found, "positions", self._account.positions())
        if positions is None:
            return ()
        self._picture.replace_positions(positions, found.read_from_ms)
        return self._positions.find(positions)

    async def _read_trades(self, mismatches: tuple[Mismatch, ...], found: _Findings) -> None:
        """Of all symbols where it is time to, else of those whose position differs."""
        now_ms = self._clock.monotonic_ms()
        complete = now_ms >= self._trades_due_ms
        span = await self._trades.span(int(self._exchange_ms(self.venue)))
        differing = {mismatch.key.symbol for mismatch in mismatches}
        symbols = tuple(sorted(differing))
        if complete:
            symbols = self._trades.symbols(span, {*differing, *self._picture.symbols(self.venue)})
        found.trades_read = symbols
        unread = {symbol for symbol in symbols if not await self._read_symbol(symbol, span, found)}
        if mismatches:
            await self._judge_positions(mismatches, frozenset(unread), span, found)
        pending = span.is_first and found.undecided
        if complete and not (unread or found.problems or pending):
            await self._trades.completed(span.end_ms)
            self._trades_due_ms = now_ms + TRADES_INTERVAL_MS

    async def _read_symbol(self, symbol: Symbol, span: TradesSpan, found: _Findings) -> bool:
        fills = await self._read(found, f"trades of {symbol}", self._trades.read(symbol, span))
        if fills is None:
            return False
        orders = await self._orders_of(fills, found)
        await self._record_fills(found, _with_client_ids(fills, orders), orders.values())
        return True

    async def _orders_of(
        self, fills: tuple[FillReport, ...], found: _Findings
    ) -> Mapping[str, OrderReport]:
        """By id, the orders of new trades that none of our orders is known to have: the history of
        trades has neither client ids nor states. What cannot be read is left out.
        """
        state, family = self._ledger.state, child_family(self.venue)
        orders = {
            each.exchange_id: each
            for each in found.listed
            if isinstance(each, OrderReport) and each.family is family
        }
        unknown = {
            fill.order_id: fill.symbol
            for fill in fills
            if not (
                fill.client_id
                or fill.order_id in orders
                or state.fill_known(fill.key)
                or state.fill_may_be_forgotten(fill, FILL_TIME_MARGIN_MS)
                or state.owner_of(fill)
            )
        }
        left = LOOK_UPS_MAX - found.orders_read
        for order_id, symbol in sorted(unknown.items())[:left]:
            found.orders_read += 1
            ref = OrderRef(family=family, symbol=symbol, client_id="", exchange_id=order_id)
            reply = await self._read(found, f"order {order_id} of {symbol}", self._find(ref))
            if isinstance(reply, OrderFound):
                reports = (each for each in reply.reports if isinstance(each, OrderReport))
                orders.update((each.exchange_id, each) for each in reports)
        return {order_id: orders[order_id] for order_id in unknown if order_id in orders}

    async def _judge_positions(
        self,
        mismatches: tuple[Mismatch, ...],
        unread: frozenset[Symbol],
        span: TradesSpan,
        found: _Findings,
    ) -> None:
        compared = await self._positions.judge(
            mismatches, unread, read_from_ms=found.read_from_ms, is_first=span.is_first
        )
        found.differences += compared.differences
        found.first_positions = compared.first
        found.undecided = compared.undecided

    async def _complete_fills(self, found: _Findings) -> None:
        """Of orders of ours that lack trades, or a commission."""
        lacking = [order for order in self._own_orders().values() if order.lacks_fills]
        for order in self._next(lacking, found, "orders that lack trades"):
            what = f"trades of order {order.client_id}"
            for order_id in trade_orders(order):
                reading = self._account.fills_of_order(self.venue, order.request.symbol, order_id)
                fills = await self._read(found, what, reading)
                if fills is None:
                    return
                await self._record_fills(found, fills)
            self._note_missing(order.client_id, found)

    def _note_missing(self, client_id: str, found: _Findings) -> None:
        order = self._ledger.state.orders.get(client_id)
        if order is None or order.fills.qty >= order.filled_qty:
            return
        if last_change_ms(order) <= found.read_from_ms - QUERY_LAG_MS:
            found.differences.append(fills_missing(order))

    def _own_orders(self) -> Mapping[str, TrackedOrder]:
        orders = self._ledger.state.orders.items()
        return {key: order for key, order in orders if order.venue is self.venue}

    def _next(
        self, orders: Iterable[TrackedOrder], found: _Findings, what: str
    ) -> tuple[TrackedOrder, ...]:
        """As many as one round may ask for, the one that has waited longest first."""
        waiting = sorted(orders, key=lambda order: self._asked_ms.get(order.client_id, 0.0))
        chosen = tuple(waiting[:LOOK_UPS_MAX])
        if len(waiting) > len(chosen):
            found.problems.append(f"{len(waiting) - len(chosen)} {what} wait for the next round")
        now_ms = self._clock.monotonic_ms()
        kept = self._ledger.state.orders
        self._asked_ms = {key: at for key, at in self._asked_ms.items() if key in kept}
        self._asked_ms.update({order.client_id: now_ms for order in chosen})
        return chosen

    async def _record_fills(
        self,
        found: _Findings,
        fills: tuple[FillReport, ...],
        orders_read: Iterable[OrderReport] = (),
    ) -> None:
        state = self._ledger.state
        stale_from_ms = found.read_from_ms - QUERY_LAG_MS
        new = [fill for fill in fills if not state.fill_known(fill.key)]
        symbols = {fill.symbol for fill in fills}
        orders = [report for report in found.listed if report.symbol in symbols]
        await self._record(found, *orders, *orders_read, *fills)
        # What left memory is not new; an event may still come for a young one.
        found.missed_fills += [
            fill for fill in new if state.fill_known(fill.key) and fill.at_ms <= stale_from_ms
        ]

    async def _record(
        self, found: _Findings, *reports: OrderReport | OrderListReport | FillReport
    ) -> None:
        await self._ledger.record(ACTOR, *reports)
        owners = map(self._ledger.state.owner_of, reports)
        found.touched.update(owner for owner in owners if owner is not None)

    async def _read(self, found: _Findings, what: str, reading: Awaitable[_Read]) -> _Read | None:
        try:
            return await reading
        except ExchangeUnavailableError as error:
            found.problems.append(f"cannot read the {what}: {error}")
        except OtherAccountError:
            raise  # nothing else can be read, either
        except ExchangeRefusedError as error:
            found.problems.append(f"may not read the {what}: {error}")
        return None

    async def _read_all(
        self, found: _Findings, what: str, reading: Awaitable[_Read]
    ) -> _Read | None:
        """Every row, or None: something is concluded from a row that is missing."""
        unreadable = self._account.unreadable_rows
        read = await self._read(found, what, reading)
        return read if self._is_complete(unreadable, what, found) else None

    def _is_complete(self, unreadable_before: int, what: str, found: _Findings) -> bool:
        number = self._account.unreadable_rows - unreadable_before
        if number:
            rows = count(number, "row")
            found.problems.append(f"{rows} of the {what} could not be read: see the log")
        return not number


def _with_client_ids(
    fills: tuple[FillReport, ...], orders: Mapping[str, OrderReport]
) -> tuple[FillReport, ...]:
    return tuple(
        replace(fill, client_id=orders[fill.order_id].client_id)
        if fill.order_id in orders
        else fill
        for fill in fills
    )
