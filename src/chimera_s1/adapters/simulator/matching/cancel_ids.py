"""Client ids of cancels that named none: replies and events must have the same."""

from chimera_s1.adapters.simulator.matching.records import Order


def cancel_id(order: Order) -> str:
    """Of the cancel that ended *order*, a spot order."""
    return order.cancel_id or f"cancel{order.order_id}"
