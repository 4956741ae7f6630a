"""What the exchange keeps of one account: orders, algo orders, order lists, trades, positions.

Records are frozen: a change is a new record. Times are exchange epoch ms; states and types are
Binance's words.
"""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.identifiers import Venue

ZERO = Decimal(0)
OPEN = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW"})
ALGO_OPEN = frozenset({"NEW", "TRIGGERING"})


class Origin(StrEnum):
    """API: by a request of the REST or WebSocket API. OTHER: as if from the web site."""

    API = "api"
    OTHER = "other"


class Order(Struct, frozen=True, kw_only=True):
    """One order, on spot or on futures.

    Attributes:
        order_id: Unique for a symbol only.
        price, stop_price: 0 where the type has none.
        qty: 0 for a market order by *quote_qty*, until it is executed.
        filled_quote: The sum of price times quantity of its trades.
        working_ms: When it entered the book; -1 for a stop order that has not triggered.
        list_id: -1 without an order list.
        algo_id: Of the algo order it came from; 0 without one.
        reason: Spot's `expiryReason`; empty without one.
        reason_code: The futures' `er`.
        cancel_id: Client id of the cancel; empty if it named none, or was not cancelled.
    """

    venue: Venue
    symbol: str
    order_id: int
    client_id: str
    side: str
    type: str
    status: str
    qty: Decimal
    created_ms: int
    updated_ms: int
    time_in_force: str = "GTC"
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    quote_qty: Decimal = ZERO
    filled_qty: Decimal = ZERO
    filled_quote: Decimal = ZERO
    working_ms: int = -1
    origin: Origin = Origin.API
    stp_mode: str = "EXPIRE_MAKER"
    list_id: int = -1
    algo_id: int = 0
    position_side: str = "BOTH"
    reduce_only: bool = False
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    good_till_ms: int = 0
    orig_type: str = ""
    reason: str = ""
    reason_code: int = 0
    cancel_id: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def is_working(self) -> bool:
        return self.working_ms >= 0

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.filled_qty

    @property
    def avg_price(self) -> Decimal:
        """Of its trades; 0 without any."""
        return self.filled_quote / self.filled_qty if self.filled_qty else ZERO


class AlgoOrder(Struct, frozen=True, kw_only=True):
    """A conditional order of the futures.

    Attributes:
        algo_id: Unique over all symbols.
        price: 0 for the market types.
        child_id: `actualOrderId`; 0 until it triggers.
        child_type, child_qty, child_price: What became of the child; its average price.
        reason: Why it was rejected (`rm`); else empty.
    """

    symbol: str
    algo_id: int
    client_id: str
    side: str
    type: str
    status: str
    qty: Decimal
    trigger: Decimal
    created_ms: int
    updated_ms: int
    price: Decimal = ZERO
    time_in_force: str = "GTC"
    position_side: str = "BOTH"
    reduce_only: bool = False
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    price_protect: bool = False
    stp_mode: str = "EXPIRE_MAKER"
    origin: Origin = Origin.API
    child_id: int = 0
    child_type: str = ""
    child_qty: Decimal = ZERO
    child_price: Decimal = ZERO
    triggered_ms: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in ALGO_OPEN


class OrderList(Struct, frozen=True, kw_only=True):
    """An OCO.

    Attributes:
        list_id: Unique over all symbols.
        status_type: EXEC_STARTED or ALL_DONE.
        status: EXECUTING or ALL_DONE.
        legs: `(order id, client id)` of each, the one below first.
    """

    symbol: str
    list_id: int
    client_id: str
    legs: tuple[tuple[int, str], ...]
    created_ms: int
    updated_ms: int
    contingency: str = "OCO"
    status_type: str = "EXEC_STARTED"
    status: str = "EXECUTING"

    @property
    def is_open(self) -> bool:
        return self.status == "EXECUTING"


class Trade(Struct, frozen=True, kw_only=True):
    """One execution of one order.

    Attributes:
        trade_id: Unique for a symbol only.
        realized: Profit of what it closed; futures only.
    """

    venue: Venue
    symbol: str
    trade_id: int
    order_id: int
    client_id: str
    side: str
    qty: Decimal
    price: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    at_ms: int
    position_side: str = "BOTH"
    realized: Decimal = ZERO
    list_id: int = -1


class Position(Struct, frozen=True, kw_only=True):
    """*qty* is negative if short; *side* is BOTH, LONG or SHORT."""

    symbol: str
    side: str
    qty: Decimal
    entry_price: Decimal
    updated_ms: int
    realized: Decimal = ZERO


class Balance(Struct, frozen=True, kw_only=True):
    """*locked* is 0 on futures, where *free* is the wallet's balance."""

    asset: str
    free: Decimal
    locked: Decimal = ZERO
