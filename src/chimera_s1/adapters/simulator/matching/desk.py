"""What the rest of the simulator needs of both desks, and of the futures' alone."""

from decimal import Decimal
from typing import Protocol

from chimera_s1.adapters.simulator.matching.new_orders import NewAlgoOrder, NewPerpOrder
from chimera_s1.adapters.simulator.matching.records import AlgoOrder, Order, Position, Trade


class Desk(Protocol):
    def advance(self) -> None:
        """Match and trigger what the books of now, and those since the last call, allow."""
        ...

    def watched_symbols(self) -> frozenset[str]:
        """The symbols whose books must move, because orders wait for it."""
        ...


class FuturesDesk(Desk, Protocol):
    """The exchange's own books, without lag, and what changes them."""

    def place(self, new: NewPerpOrder) -> Order: ...

    def place_algo(self, new: NewAlgoOrder) -> AlgoOrder: ...

    def cancel(
        self, symbol: str, *, order_id: int | None = None, client_id: str | None = None
    ) -> Order: ...

    def cancel_algo(
        self, *, algo_id: int | None = None, client_id: str | None = None
    ) -> AlgoOrder: ...

    def every_order(self) -> list[Order]: ...

    def every_algo(self) -> list[AlgoOrder]: ...

    def every_trade(self) -> list[Trade]: ...

    def positions(self) -> list[Position]: ...

    def set_balance(self, asset: str, amount: Decimal) -> None: ...
