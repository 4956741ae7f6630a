"""Announces what happens on the spot desk to its listeners."""

from chimera_s1.adapters.simulator.matching.events import (
    BalanceEvent,
    ListEvent,
    OrderEvent,
    SpotEvent,
    SpotListener,
)
from chimera_s1.adapters.simulator.matching.records import Order, OrderList, Trade
from chimera_s1.adapters.simulator.matching.spot_wallet import SpotWallet


class SpotEvents:
    """Changed balances follow the event that changed them."""

    def __init__(self, wallet: SpotWallet) -> None:
        self._wallet = wallet
        self._listeners: list[SpotListener] = []
        self._count = 0

    def listen(self, listener: SpotListener) -> None:
        self._listeners.append(listener)

    def order(self, order: Order, execution: str, trade: Trade | None) -> None:
        self._count += 1
        event = OrderEvent(
            order=order,
            execution=execution,
            number=self._count,
            at_ms=order.updated_ms,
            trade=trade,
        )
        self._emit(event)
        self._emit_balances(order.updated_ms)

    def order_list(self, order_list: OrderList) -> None:
        self._emit(ListEvent(order_list=order_list, at_ms=order_list.updated_ms))
        self._emit_balances(order_list.updated_ms)

    def _emit_balances(self, at_ms: int) -> None:
        changed = self._wallet.take_changes()
        if changed:
            self._emit(BalanceEvent(balances=changed, at_ms=at_ms))

    def _emit(self, event: SpotEvent) -> None:
        for listener in self._listeners:
            listener(event)
