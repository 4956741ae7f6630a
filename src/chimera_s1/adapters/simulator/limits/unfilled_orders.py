"""The count of spot orders falls with the first fill of an order."""

from chimera_s1.adapters.simulator.limits.rate_limits import RateLimits
from chimera_s1.adapters.simulator.limits.rules import order_charges
from chimera_s1.adapters.simulator.matching.events import OrderEvent, SpotEvent
from chimera_s1.adapters.simulator.matching.records import Origin


class UnfilledOrders:
    """Listens to the desk; requests add to the count."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits

    def __call__(self, event: SpotEvent) -> None:
        if not isinstance(event, OrderEvent) or event.trade is None:
            return
        order = event.order
        if order.origin is Origin.API and order.filled_qty == event.trade.qty:
            self._limits.give_back(order_charges(1))
