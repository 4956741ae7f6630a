"""The futures exchange as one account sees it: orders, algo orders, positions, margin.

Errors are `BinanceError`. Queries show orders, algo orders and trades of the age
`MatchingBehaviour.query_lag_ms` and older; the `every_` ones are the exchange's own books.
"""

from decimal import Decimal

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.income import FundingIncome
from chimera_s1.adapters.simulator.funding.positions import Positions
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.behaviour import MatchingBehaviour
from chimera_s1.adapters.simulator.matching.events import PerpListener
from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder, NewPerpOrder
from chimera_s1.adapters.simulator.matching.perp_margin import AccountMargin, PositionRisk
from chimera_s1.adapters.simulator.matching.perp_settings import PerpSettings
from chimera_s1.adapters.simulator.matching.records import (
    AlgoOrder,
    Balance,
    Order,
    Position,
    Trade,
)


class PerpDesk:
    """Works lazily: every call first matches and pays what is due by now.

    Attributes:
        behaviour: May be replaced at any time.
        settings: Read only; changed by the `change_` methods.
    """

    def __init__(
        self,
        market: Market,
        clock: ScaledClock,
        account: Account,
        behaviour: MatchingBehaviour,
        *,
        funded: Positions | None = None,
        funding: FundingIncome | None = None,
    ) -> None:
        """Open the desk.

        Args:
            market: Its books fill the orders.
            clock: The exchange's.
            account: Its futures wallet is this desk's USDT.
            behaviour: Where Binance's own varies.
            funded: Told of every position, so that funding income follows them. Those held in it
                now are positions of the desk.
            funding: Fees that the wallet pays and receives.
        """
        self.behaviour = behaviour
        self.settings = PerpSettings()
        raise NotImplementedError

    # Orders

    def place(self, new: NewPerpOrder) -> Order:
        """The order as accepted: NEW, whatever was executed since; `find` shows that."""
        raise NotImplementedError

    def cancel(
        self, symbol: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order:
        """The order, CANCELED; -2011 if there is no such open order."""
        raise NotImplementedError

    def cancel_all(self, symbol: str) -> list[Order]:
        """Not the algo orders."""
        raise NotImplementedError

    def find(
        self, symbol: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order:
        """Of several with *client_id* the latest; -2013 without any, and for algo orders."""
        raise NotImplementedError

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        raise NotImplementedError

    def all_orders(self, symbol: str) -> list[Order]:
        """Oldest first."""
        raise NotImplementedError

    def trades(self, symbol: str) -> list[Trade]:
        """Oldest first."""
        raise NotImplementedError

    # Algo orders

    def place_algo(self, new: NewAlgoOrder) -> AlgoOrder:
        raise NotImplementedError

    def cancel_algo(self, *, algo_id: int | None = None, client_id: str | None = None) -> AlgoOrder:
        """The algo order, CANCELED; -2011 if there is no such open one."""
        raise NotImplementedError

    def cancel_all_algos(self, symbol: str) -> list[AlgoOrder]:
        raise NotImplementedError

    def find_algo(self, *, algo_id: int | None = None, client_id: str | None = None) -> AlgoOrder:
        """Of several with *client_id* the latest; -2013 without any."""
        raise NotImplementedError

    def open_algos(self, symbol: str | None = None) -> list[AlgoOrder]:
        raise NotImplementedError

    def all_algos(self, symbol: str) -> list[AlgoOrder]:
        """Oldest first."""
        raise NotImplementedError

    # Account

    def positions(self) -> list[Position]:
        """The open ones; no lag."""
        raise NotImplementedError

    def position_risks(self) -> list[PositionRisk]:
        """Of the open positions."""
        raise NotImplementedError

    def margin(self) -> AccountMargin:
        raise NotImplementedError

    def balances(self) -> list[Balance]:
        """Of the futures wallet: USDT, and what else it holds; unrealized profit not included."""
        raise NotImplementedError

    def set_balance(self, asset: str, amount: Decimal) -> None:
        """As if by a deposit; BNB pays commissions if the behaviour says so."""
        raise NotImplementedError

    def change_hedge_mode(self, hedge_mode: bool) -> None:
        """-4059 if it is so already, -4067 with open orders, -4068 with a position."""
        raise NotImplementedError

    def change_multi_assets(self, multi_assets: bool) -> None:
        """-4171 if it is so already; -4167 with an isolated symbol."""
        raise NotImplementedError

    def change_leverage(self, symbol: str, leverage: int) -> None:
        """-4028 if the brackets do not allow it."""
        raise NotImplementedError

    def change_margin_type(self, symbol: str, margin_type: str) -> None:
        """CROSSED or ISOLATED.

        -4046 if it is so already, -4047 with open orders, -4048 with a position, -4168 for ISOLATED
        in multi-assets mode.
        """
        raise NotImplementedError

    def sign_tradfi(self) -> None:
        """Signing again changes nothing."""
        raise NotImplementedError

    # The exchange's own books, without lag

    def every_order(self) -> list[Order]:
        raise NotImplementedError

    def every_algo(self) -> list[AlgoOrder]:
        raise NotImplementedError

    def every_trade(self) -> list[Trade]:
        raise NotImplementedError

    # Events

    def listen(self, listener: PerpListener) -> None:
        """*listener* is called with every event from now on, in exchange order."""
        raise NotImplementedError

    def advance(self) -> None:
        """Match, trigger and pay what is due by now."""
        raise NotImplementedError
