"""The futures exchange for one account: orders, algo orders, positions, margin and balances.

No sockets and no tasks: a call returns when everything it causes has happened. `advance` is called
whenever books moved, and by every call itself.
"""

from decimal import Decimal

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.account.movements import ASSET, WalletName
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.income import FundingIncome
from chimera_s1.adapters.simulator.funding.positions import Positions
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.matching.algo_orders import AlgoOrders
from chimera_s1.adapters.simulator.matching.algo_rules import check_algo_parameters
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.events import (
    AccountEvent,
    OrderEvent,
    PerpEvent,
    PerpListener,
)
from chimera_s1.adapters.simulator.matching.funding_payments import FundingPayments
from chimera_s1.adapters.simulator.matching.matcher import Matcher
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder, NewPerpOrder
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.perp_entry import PerpEntry
from chimera_s1.adapters.simulator.matching.perp_margin import (
    AccountMargin,
    MarginRules,
    PositionRisk,
)
from chimera_s1.adapters.simulator.matching.perp_positions import PositionBook
from chimera_s1.adapters.simulator.matching.perp_rules import (
    check_parameters,
    check_symbol,
    checked_position_side,
    closes_only,
)
from chimera_s1.adapters.simulator.matching.perp_settings import PerpSettings
from chimera_s1.adapters.simulator.matching.perp_settlement import PerpSettlement
from chimera_s1.adapters.simulator.matching.perp_wallet import PerpWallet
from chimera_s1.adapters.simulator.matching.records import (
    AlgoOrder,
    Balance,
    Order,
    Position,
    Trade,
)
from chimera_s1.adapters.simulator.matching.setting_changes import SettingChanges
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.domain.identifiers import Venue

_NOTHING_LEFT_TO_REDUCE = 4


class PerpDesk:
    """Refusals are `BinanceError`. Queries lag by `MatchingBehaviour.query_lag_ms`.

    Attributes:
        settings: Read only; changed through `changes`.
    """

    def __init__(
        self,
        market: Market,
        clock: ScaledClock,
        account: Account,
        behaviour: CurrentBehaviour,
        *,
        funded: Positions | None = None,
        funding: FundingIncome | None = None,
    ) -> None:
        """Open the desk.

        Args:
            market: Its books fill the orders.
            clock: The exchange's.
            account: Its futures wallet is this desk's USDT; margin in use cannot be moved out.
            behaviour: Where Binance's own varies.
            funded: Gets every position, so that funding income follows them. What is held in it
                now is a position of the desk.
            funding: Fees that the wallet pays and receives.
        """
        self._market = market
        self._clock = clock
        self._listeners: list[PerpListener] = []
        self._events = 0
        self.settings = PerpSettings()
        self.wallet = PerpWallet(account)
        self.orders = OrderStore(clock, behaviour)
        self._positions = PositionBook()
        self._margin = MarginRules(market, self.orders, self._positions, self.wallet, self.settings)
        self._settlement = PerpSettlement(
            market,
            self.wallet,
            self._positions,
            funded=Positions() if funded is None else funded,
            behaviour=behaviour,
            emit=self._emit,
        )
        self._settlement.adopt(clock.now_ms())
        self._payments = FundingPayments(funding, clock)
        self._matcher = Matcher(
            Venue.PERP, market, clock, self.orders, settlement=self, behaviour=behaviour
        )
        self._entry = PerpEntry(
            self.orders,
            self._matcher,
            self._positions,
            self._margin,
            clock=clock,
            behaviour=behaviour,
        )
        self.algos = AlgoOrders(
            self.orders,
            self._matcher,
            self._positions,
            self._margin,
            clock=clock,
            behaviour=behaviour,
            emit=self._emit,
        )
        self.changes = SettingChanges(
            self.settings,
            self._has_orders,
            self._positions,
            self._margin,
            clock=clock,
            emit=self._emit,
        )
        self._position_closed = False
        account.margin_in_use = self._margin.in_use

    # Orders

    def place(self, new: NewPerpOrder) -> Order:
        """The order as accepted: NEW, whatever was executed since; `find` shows that."""
        self.advance()
        market = self._listed(new.symbol)
        check_parameters(new, self._clock.now_ms())
        check_symbol(market.spec, self.settings, trading=market.is_trading)
        position_side = checked_position_side(new, self.settings)
        self._matcher.advance_symbol(new.symbol)
        return self._entry.place(new, market, position_side)

    def cancel(
        self, symbol: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order:
        """The order, CANCELED; -2011 if there is no such open order."""
        self.advance()
        self._listed(symbol)
        if order_id is not None:
            order = self.orders.current(symbol, order_id)
        else:
            order = self.orders.latest(symbol, client_id or "")
        if order is None or not order.is_open:
            raise BinanceError(-2011, "Unknown order sent.")
        return self._matcher.end(order, "CANCELED")

    def cancel_all(self, symbol: str) -> list[Order]:
        """Not the algo orders."""
        self.advance()
        self._listed(symbol)
        return [self._matcher.end(order, "CANCELED") for order in self.orders.open(symbol)]

    def find(
        self, symbol: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order:
        """Of several with *client_id* the latest; -2013 without any, and for algo orders."""
        self.advance()
        self._listed(symbol)
        order = self.orders.seen(symbol, order_id, client_id)
        if order is None:
            raise BinanceError(-2013, "Order does not exist.")
        return order

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        self.advance()
        return self.orders.seen_open(symbol)

    def all_orders(self, symbol: str) -> list[Order]:
        """Oldest first."""
        self.advance()
        return self.orders.seen_all(symbol)

    def trades(self, symbol: str) -> list[Trade]:
        """Oldest first."""
        self.advance()
        return self.orders.seen_trades(symbol)

    # Algo orders

    def place_algo(self, new: NewAlgoOrder) -> AlgoOrder:
        self.advance()
        market = self._listed(new.symbol)
        check_algo_parameters(new)
        check_symbol(market.spec, self.settings, trading=market.is_trading)
        position_side = checked_position_side(new, self.settings)
        self._matcher.advance_symbol(new.symbol)
        return self.algos.place(new, market, position_side)

    def cancel_algo(self, *, algo_id: int | None = None, client_id: str | None = None) -> AlgoOrder:
        """The algo order, CANCELED; -2011 if there is no such open one."""
        self.advance()
        algo = self.algos.store.find_open(algo_id, client_id)
        if algo is None:
            raise BinanceError(-2011, "Unknown order sent.")
        return self.algos.cancel(algo)

    def cancel_all_algos(self, symbol: str) -> list[AlgoOrder]:
        self.advance()
        self._listed(symbol)
        return [self.algos.cancel(algo) for algo in self.algos.store.open(symbol)]

    def find_algo(self, *, algo_id: int | None = None, client_id: str | None = None) -> AlgoOrder:
        """Of several with *client_id* the latest; -2013 without any, and for orders."""
        self.advance()
        algo = self.algos.store.seen(algo_id, client_id)
        if algo is None:
            raise BinanceError(-2013, "Order does not exist.")
        return algo

    def open_algos(self, symbol: str | None = None) -> list[AlgoOrder]:
        self.advance()
        return self.algos.store.seen_open(symbol)

    def all_algos(self, symbol: str) -> list[AlgoOrder]:
        """Oldest first."""
        self.advance()
        return self.algos.store.seen_all(symbol)

    # Account

    def positions(self) -> list[Position]:
        """The open ones; they never lag."""
        self.advance()
        return self._positions.open()

    def position_risks(self) -> list[PositionRisk]:
        """Of the open positions."""
        return [self._margin.risk(each) for each in self.positions()]

    def margin(self) -> AccountMargin:
        self.advance()
        return self._margin.account()

    def balances(self) -> list[Balance]:
        """Of USDT, and of every asset that the wallet has, or had; without unrealized profit."""
        self.advance()
        return self.wallet.balances()

    def set_balance(self, asset: str, amount: Decimal) -> None:
        """As if by a deposit; BNB pays commissions if the behaviour says so."""
        self.advance()
        change = amount - self.wallet.amount(asset)
        self.wallet.add(asset, change)
        self._emit_balance("DEPOSIT" if change > 0 else "WITHDRAW", asset, change)

    def transferred(self, wallet: WalletName, change: Decimal, _at_ms: int) -> None:
        """A transfer moved money into the wallet, or out of it; see `Account.on_transferred`."""
        if wallet is WalletName.FUT:
            self._emit_balance("MARGIN_TRANSFER", ASSET, change)

    def change_hedge_mode(self, hedge_mode: bool) -> None:
        """-4059 if it is so already, -4067 with open orders, -4068 with a position."""
        self.advance()
        self.changes.hedge_mode(hedge_mode)

    def change_multi_assets(self, multi_assets: bool) -> None:
        """-4171 if it is so already, -4167 with an isolated symbol."""
        self.advance()
        self.changes.multi_assets(multi_assets)

    def change_leverage(self, symbol: str, leverage: int) -> None:
        """-4028 if the contract does not allow it, -2028 if the margin does not suffice."""
        self.advance()
        self.changes.leverage(self._listed(symbol).spec, leverage)

    def change_margin_type(self, symbol: str, margin_type: str) -> None:
        """CROSSED or ISOLATED; isolated margin is not simulated beyond its name.

        -4046 if it is so already, -4047 with open orders, -4048 with a position, -4168 for ISOLATED
        in multi-assets mode.
        """
        self.advance()
        self._listed(symbol)
        self.changes.margin_type(symbol, margin_type)

    def sign_tradfi(self) -> None:
        """Signing again changes nothing."""
        self.settings.tradfi_signed = True

    # The exchange's own books, without lag

    def every_order(self) -> list[Order]:
        """Every order ever placed, oldest first."""
        return self.orders.all()

    def every_algo(self) -> list[AlgoOrder]:
        return self.algos.store.all()

    def every_trade(self) -> list[Trade]:
        return self.orders.trades()

    # Events and time

    def listen(self, listener: PerpListener) -> None:
        """Call *listener* with every event, in the order in which they happen."""
        self._listeners.append(listener)

    def advance(self) -> None:
        """Match, trigger, end and pay what is due by now."""
        self._matcher.advance(self.watched_symbols())
        now = self._clock.now_ms()
        for order in self.orders.open():
            if 0 < order.good_till_ms <= now:
                self._matcher.expire(order, "")
        for fee in self._payments.take_due():
            self.wallet.add(fee.asset, fee.amount)
            self._emit_balance("FUNDING_FEE", fee.asset, fee.amount)

    def watched_symbols(self) -> frozenset[str]:
        """The symbols whose books must move, because orders wait for it."""
        return self.orders.open_symbols() | self.algos.store.open_symbols()

    # What the matcher needs

    def executable(self, order: Order, _: Decimal) -> Decimal:
        if not closes_only(order.side, order.position_side, reduce_only=order.reduce_only):
            return order.remaining
        reducible = self._positions.reducible(order.symbol, order.position_side, order.side)
        return min(order.remaining, reducible)

    def settle(self, _: Order, trade: Trade) -> Trade:
        position = (trade.symbol, trade.position_side, trade.side)
        before = self._positions.reducible(*position)
        trade = self._settlement.settle(trade)
        self._position_closed = bool(before) and not self._positions.reducible(*position)
        return trade

    def order_changed(self, order: Order, execution: str, trade: Trade | None) -> None:
        self._events += 1
        self._emit(
            OrderEvent(
                order=order,
                execution=execution,
                number=self._events,
                at_ms=order.updated_ms,
                trade=trade,
            )
        )
        if order.algo_id:
            self.algos.follow(order)
        if trade is not None and self._position_closed:
            self._position_closed = False
            self._end_reducing(order)

    def book_moved(self, symbol: str) -> None:
        market = self._market.find_ever_listed(Venue.PERP, symbol)
        if market is not None:
            self.algos.fire_triggers(market)

    # Parts of the above

    def _end_reducing(self, filled: Order) -> None:
        """Orders that can no longer reduce anything expire with the position."""
        symbol, side, position_side = filled.symbol, filled.side, filled.position_side
        for order in self.orders.open(symbol):
            only = closes_only(order.side, order.position_side, reduce_only=order.reduce_only)
            if only and (order.side, order.position_side) == (side, position_side):
                self._matcher.end(order, "EXPIRED", reason_code=_NOTHING_LEFT_TO_REDUCE)
        self.algos.expire_closed(symbol, position_side, side)

    def _has_orders(self, symbol: str | None) -> bool:
        return bool(self.orders.open(symbol) or self.algos.store.open(symbol))

    def _listed(self, symbol: str) -> SymbolMarket:
        market = self._market.find_usd_margined(Venue.PERP, symbol)
        if market is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return market

    def _emit_balance(self, reason: str, asset: str, change: Decimal) -> None:
        self._emit(
            AccountEvent(
                reason=reason,
                balances=(self.wallet.balance(asset),),
                positions=(),
                at_ms=self._clock.now_ms(),
                change=change,
            )
        )

    def _emit(self, event: PerpEvent) -> None:
        for listener in self._listeners:
            listener(event)
