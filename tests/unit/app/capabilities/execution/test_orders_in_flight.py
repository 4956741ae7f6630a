"""Which orders this instance is sending now."""

import pytest

from chimera_s1.app.capabilities.execution.orders_in_flight import OrdersInFlight


def test_an_order_is_in_flight_until_its_request_has_ended() -> None:
    orders = OrdersInFlight()
    with orders.sending("s1-a"):
        assert "s1-a" in orders
        assert "s1-b" not in orders
    assert "s1-a" not in orders


def test_a_second_request_with_its_id_does_not_end_it() -> None:
    """A caller that repeats itself is refused at once, while the first request is on its way."""
    orders = OrdersInFlight()
    with orders.sending("s1-a"):
        with pytest.raises(ValueError, match="used before"), orders.sending("s1-a"):
            raise ValueError("used before")
        assert "s1-a" in orders
    assert "s1-a" not in orders
