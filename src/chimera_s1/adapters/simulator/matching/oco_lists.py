"""The order lists of the spot account: which orders belong together, and which lists are done."""

import msgspec

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.matching.new_orders import NewOco
from chimera_s1.adapters.simulator.matching.order_store import Ids, OrderStore
from chimera_s1.adapters.simulator.matching.records import Order, OrderList
from chimera_s1.adapters.simulator.matching.versions import Versions


class OcoLists:
    def __init__(self, orders: OrderStore, clock: ScaledClock) -> None:
        self._orders = orders
        self._clock = clock
        self._lists: Versions[int, OrderList] = Versions()
        self._ids = Ids(clock)

    def next_id(self) -> int:
        return self._ids.next("list")

    def add(self, new: NewOco, list_id: int, legs: list[Order]) -> OrderList:
        now = self._clock.now_ms()
        placed = OrderList(
            symbol=new.symbol,
            list_id=list_id,
            client_id=new.client_id or self._orders.next_client_id(),
            legs=tuple((leg.order_id, leg.client_id) for leg in legs),
            created_ms=now,
            updated_ms=now,
        )
        self._lists.put(list_id, placed)
        return placed

    def current(self, list_id: int) -> OrderList | None:
        """As the matching engine has it."""
        return self._lists.current(list_id)

    def find_open(
        self, symbol: str, list_id: int | None, client_id: str | None
    ) -> OrderList | None:
        """As the matching engine has it."""
        lists = (each for each in self._lists.open() if each.symbol == symbol)
        return next((each for each in lists if _is_named(each, list_id, client_id)), None)

    def is_client_id_open(self, client_id: str) -> bool:
        return any(each.client_id == client_id for each in self._lists.open())

    def seen(self) -> list[OrderList]:
        """As queries see them, oldest first."""
        return list(self._lists.seen(self._orders.seen_ms()))

    def find_seen(self, list_id: int | None, client_id: str | None) -> OrderList | None:
        """Of several with *client_id*, the last."""
        named = [each for each in self.seen() if _is_named(each, list_id, client_id)]
        return named[-1] if named else None

    def legs(self, order_list: OrderList) -> list[Order]:
        """As the matching engine has them, the one below first."""
        symbol = order_list.symbol
        found = (self._orders.current(symbol, order_id) for order_id, _ in order_list.legs)
        return [order for order in found if order is not None]

    def open_siblings(self, order: Order) -> list[Order]:
        """The other legs of its list that are open."""
        order_list = self._lists.current(order.list_id)
        legs = [] if order_list is None else self.legs(order_list)
        return [leg for leg in legs if leg.is_open and leg.order_id != order.order_id]

    def end_if_done(self, list_id: int) -> OrderList | None:
        """The list, if its last leg has ended just now."""
        order_list = self._lists.current(list_id)
        if order_list is None or not order_list.is_open:
            return None
        legs = self.legs(order_list)
        if len(legs) < len(order_list.legs) or any(leg.is_open for leg in legs):
            return None
        now = self._clock.now_ms()
        done = msgspec.structs.replace(
            order_list, status_type="ALL_DONE", status="ALL_DONE", updated_ms=now
        )
        self._lists.put(list_id, done)
        return done


def _is_named(order_list: OrderList, list_id: int | None, client_id: str | None) -> bool:
    if list_id is not None:
        return order_list.list_id == list_id
    return order_list.client_id == client_id
