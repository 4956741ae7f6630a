"""The spot exchange for one account: orders, order lists, balances and what happens to them.

No sockets and no tasks: a call returns when everything it causes has happened. `advance` is called
whenever books moved, and by every call itself.
"""

from decimal import Decimal

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.events import SpotListener
from chimera_s1.adapters.simulator.matching.matcher import Matcher
from chimera_s1.adapters.simulator.matching.new_orders import NewOco, NewSpotOrder, OcoLeg
from chimera_s1.adapters.simulator.matching.oco_lists import OcoLists
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.records import (
    ZERO,
    Balance,
    Order,
    OrderList,
    Trade,
)
from chimera_s1.adapters.simulator.matching.spot_admission import SpotAdmission
from chimera_s1.adapters.simulator.matching.spot_events import SpotEvents
from chimera_s1.adapters.simulator.matching.spot_rules import STOP_TYPES, check_parameters, triggers
from chimera_s1.adapters.simulator.matching.spot_settlement import SpotSettlement
from chimera_s1.adapters.simulator.matching.spot_wallet import SpotWallet
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue

_OCO_TRIGGER = "OCO_TRIGGER"


class SpotDesk:
    """Refusals are `BinanceError`. Queries lag by `MatchingBehaviour.query_lag_ms`."""

    def __init__(
        self, market: Market, clock: ScaledClock, account: Account, behaviour: CurrentBehaviour
    ) -> None:
        self._market = market
        self._clock = clock
        self.wallet = SpotWallet(account)
        self.orders = OrderStore(clock, behaviour)
        self._lists = OcoLists(self.orders, clock)
        self._settlement = SpotSettlement(market, self.wallet, behaviour)
        self._matcher = Matcher(
            Venue.SPOT, market, clock, self.orders, settlement=self, behaviour=behaviour
        )
        self._admission = SpotAdmission(self.orders, self._lists, self._matcher)
        self._events = SpotEvents(self.wallet)

    # Orders

    def place(self, new: NewSpotOrder) -> Order:
        """As it is once it took what the book offers; its trades are in `orders.trades()`."""
        order = self.check(new)
        self._admission.check_entry(new)
        spec = self._spec(new.symbol)
        unit = order.price or order.stop_price
        self._settlement.lock(spec, order, unit, self._matcher.cost(order))
        return self._start(order)

    def check(self, new: NewSpotOrder) -> Order:
        """The order, not placed; refused as `place` does before money and other orders count."""
        self.advance()
        check_parameters(new)
        spec = self._spec(new.symbol)
        self._matcher.advance_symbol(new.symbol)
        qty = self._quantity(spec, new)
        self._admission.check_request(spec, new, qty)
        return self._new_order(new, qty)

    def _start(self, order: Order) -> Order:
        if order.type in STOP_TYPES:
            return self._matcher.record(order, "NEW")
        return self._matcher.enter(order)

    def cancel(
        self,
        symbol: str,
        *,
        order_id: int | None = None,
        client_id: str | None = None,
        new_client_id: str = "",
    ) -> Order:
        """The cancelled order. A leg takes its order list with it."""
        self.advance()
        self._spec(symbol)
        order = self._current(symbol, order_id, client_id)
        if order is None or not order.is_open or client_id not in {None, order.client_id}:
            raise BinanceError(-2011, "Unknown order sent.")
        return self._cancel(order, new_client_id)

    def _cancel(self, order: Order, cancel_id: str) -> Order:
        siblings = self._lists.open_siblings(order)
        cancelled = self._matcher.end(order, "CANCELED", cancel_id=cancel_id)
        for sibling in siblings:
            self._matcher.end(sibling, "CANCELED", cancel_id=cancel_id)
        return cancelled

    def cancel_all(self, symbol: str) -> tuple[list[Order], list[OrderList]]:
        """The cancelled orders, those of lists included, and the cancelled lists."""
        self.advance()
        self._spec(symbol)
        orders = self.orders.open(symbol)
        if not orders:
            raise BinanceError(-2011, "Unknown order sent.")
        for order in orders:
            current = self.orders.current(symbol, order.order_id)
            if current is not None and current.is_open:
                self._cancel(current, "")
        lists = {order.list_id for order in orders if order.list_id != -1}
        cancelled = (self.orders.current(symbol, order.order_id) for order in orders)
        ended = (self._lists.current(list_id) for list_id in sorted(lists))
        return [each for each in cancelled if each], [each for each in ended if each]

    def find(
        self, symbol: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order:
        self.advance()
        self._spec(symbol)
        order = self.orders.seen(symbol, order_id, client_id)
        if order is None or client_id not in {None, order.client_id}:
            raise BinanceError(-2013, "Order does not exist.")
        return order

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        self.advance()
        return self.orders.seen_open(symbol)

    def all_orders(self, symbol: str) -> list[Order]:
        """Oldest first."""
        self.advance()
        return self.orders.seen_all(symbol)

    def trades(self, symbol: str, *, order_id: int | None = None) -> list[Trade]:
        """Oldest first."""
        self.advance()
        trades = self.orders.seen_trades(symbol)
        return [each for each in trades if order_id in {None, each.order_id}]

    # Order lists

    def place_oco(self, new: NewOco) -> OrderList:
        self.advance()
        spec = self._spec(new.symbol)
        self._matcher.advance_symbol(new.symbol)
        legs = [_leg_order(new, new.below), _leg_order(new, new.above)]
        self._admission.check_list(spec, new, legs)
        list_id = self._lists.next_id()
        orders = [self._new_order(leg, new.qty, list_id) for leg in legs]
        unit = max(max(order.price, order.stop_price) for order in orders)
        self._settlement.lock(spec, orders[0], unit, ZERO)
        placed = self._lists.add(new, list_id, orders)
        self._events.order_list(placed)
        for order in orders:
            self._start(order)
        return placed

    def cancel_list(
        self,
        symbol: str,
        *,
        list_id: int | None = None,
        client_id: str | None = None,
        new_client_id: str = "",
    ) -> OrderList:
        self.advance()
        self._spec(symbol)
        found = self._lists.find_open(symbol, list_id, client_id)
        if found is None:
            raise BinanceError(-2011, "Unknown order list sent.")
        for leg in self._lists.legs(found):
            if leg.is_open:
                self._matcher.end(leg, "CANCELED", cancel_id=new_client_id)
        return self._lists.current(found.list_id) or found

    def find_list(self, *, list_id: int | None = None, client_id: str | None = None) -> OrderList:
        self.advance()
        found = self._lists.find_seen(list_id, client_id)
        if found is None:
            raise BinanceError(-2018, "Order list does not exist.")
        return found

    def open_lists(self) -> list[OrderList]:
        return [each for each in self.all_lists() if each.is_open]

    def all_lists(self) -> list[OrderList]:
        """Oldest first."""
        self.advance()
        return self._lists.seen()

    def list_of(self, leg: Order) -> OrderList:
        """As the matching engine has it."""
        found = self._lists.current(leg.list_id)
        assert found is not None
        return found

    def legs(self, order_list: OrderList) -> list[Order]:
        """As the matching engine has them, the one below first."""
        return self._lists.legs(order_list)

    # Balances, events and time

    def balances(self) -> list[Balance]:
        """Of every asset that the account has, or had."""
        self.advance()
        return self.wallet.balances()

    def check_listed(self, symbol: str) -> None:
        """Raises BinanceError -1121 unless *symbol* is listed."""
        self._spec(symbol)

    def listen(self, listener: SpotListener) -> None:
        """Call *listener* with every event, in the order in which they happen."""
        self._events.listen(listener)

    def advance(self) -> None:
        """Match resting orders against every book since the last call, and fire triggers."""
        self._matcher.advance(self.orders.open_symbols())

    def watched_symbols(self) -> frozenset[str]:
        """The symbols whose books must move, because orders wait for it."""
        return self.orders.open_symbols()

    # What the matcher needs

    def executable(self, order: Order, price: Decimal) -> Decimal:
        return self._settlement.executable(self._spec(order.symbol), order, price)

    def settle(self, order: Order, trade: Trade) -> Trade:
        return self._settlement.settle(self._spec(order.symbol), order, trade)

    def order_changed(self, order: Order, execution: str, trade: Trade | None) -> None:
        """The first fill of a leg expires the other; the last end of a leg ends the list."""
        if not order.is_open and order.list_id == -1:
            self.wallet.release((order.symbol, order.order_id))
        self._events.order(order, execution, trade)
        if order.list_id != -1:
            if trade is not None:
                self._expire_siblings(order)
            self._end_list(order.list_id)

    def book_moved(self, symbol: str) -> None:
        last = self._matcher.last_price(symbol)
        for waiting in self.orders.open(symbol):
            order = self.orders.current(symbol, waiting.order_id)
            if order is None or not order.is_open or order.is_working:
                continue
            if triggers(order.side, order.type, order.stop_price, last):
                self._expire_siblings(order)
                self._matcher.enter(order)

    # Parts of the above

    def _spec(self, symbol: str) -> SymbolSpec:
        market = self._market.find(Venue.SPOT, symbol)
        if market is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return market.spec

    def _current(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        if order_id is not None:
            return self.orders.current(symbol, order_id)
        return self.orders.latest(symbol, client_id or "")

    def _quantity(self, spec: SymbolSpec, new: NewSpotOrder) -> Decimal:
        if new.quote_qty is None:
            return new.qty or ZERO
        step = Decimal(spec.quantity(1))
        return self._matcher.quantity_for(new.symbol, new.side, new.quote_qty, step)

    def _new_order(self, new: NewSpotOrder, qty: Decimal, list_id: int = -1) -> Order:
        now = self._clock.now_ms()
        return Order(
            venue=Venue.SPOT,
            symbol=new.symbol,
            order_id=self.orders.next_order_id(new.symbol),
            client_id=new.client_id or self.orders.next_client_id(),
            side=new.side,
            type=new.type,
            status="NEW",
            qty=qty,
            created_ms=now,
            updated_ms=now,
            time_in_force=new.time_in_force or "GTC",
            price=new.price or ZERO,
            stop_price=new.stop_price or ZERO,
            quote_qty=new.quote_qty or ZERO,
            origin=new.origin,
            stp_mode=new.stp_mode,
            list_id=list_id,
            orig_type=new.type,
        )

    def _end_list(self, list_id: int) -> None:
        done = self._lists.end_if_done(list_id)
        if done is not None:
            self.wallet.release(("", list_id))
            self._events.order_list(done)

    def _expire_siblings(self, order: Order) -> None:
        for sibling in self._lists.open_siblings(order):
            self._matcher.end(sibling, "EXPIRED", reason=_OCO_TRIGGER)


def _leg_order(new: NewOco, leg: OcoLeg) -> NewSpotOrder:
    return NewSpotOrder(
        symbol=new.symbol,
        side=new.side,
        type=leg.type,
        client_id=leg.client_id,
        qty=new.qty,
        price=leg.price,
        stop_price=leg.stop_price,
        time_in_force=leg.time_in_force,
        stp_mode=new.stp_mode,
        origin=new.origin,
    )
