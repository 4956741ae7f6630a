"""Split a close into market orders: their maximum may be far below that of limit orders."""

from decimal import ROUND_CEILING, Decimal, localcontext

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.instruments.order_grid import EXACT_PRECISION, Rounding, check_exact
from chimera_s1.domain.instruments.order_rules import OrderQuantity, OrderRules
from chimera_s1.domain.money import exact_text

ORDERS_MAX = 100
"""What is left after that many is the next close's."""


class MarketClose(Struct, frozen=True):
    """*rest* is what the orders leave: too little for one, unless there are `ORDERS_MAX`."""

    quantities: tuple[OrderQuantity, ...]
    rest: Decimal


def split_market_close(rules: OrderRules, quantity: Decimal) -> MarketClose:
    """The fewest legal market quantities that add up to *quantity*, or to as much as can be.

    Raises:
        InvalidValueError: *quantity* is no exact number, or negative: it is the size of a position.
    """
    check_exact("quantity", quantity)
    if quantity < 0:
        raise InvalidValueError(f"{rules.instrument}: cannot close {exact_text(quantity)}")
    grid = rules.market.quantities
    with localcontext(prec=EXACT_PRECISION):
        total = grid.snap(quantity, Rounding.DOWN)
        largest = total if grid.maximum is None else min(total, grid.maximum)
        largest = grid.snap(largest, Rounding.DOWN)
        least = grid.snap(grid.minimum or Decimal(0), Rounding.UP)
        if largest <= 0 or largest < least:
            return MarketClose((), quantity)
        count = int((total / largest).to_integral_value(ROUND_CEILING))
        if count * least > total:
            # The last order would be below the minimum, however the others are cut.
            count -= 1
            total = count * largest
        orders = _cut(total, count, largest, least)
        return MarketClose(orders, quantity - sum(orders))


def _cut(total: Decimal, count: int, largest: Decimal, least: Decimal) -> tuple[OrderQuantity, ...]:
    """As large as possible, but each leaves enough for those that follow."""
    orders: list[OrderQuantity] = []
    for following in range(count - 1, max(count - ORDERS_MAX, 0) - 1, -1):
        order = min(largest, total - least * following)
        orders.append(OrderQuantity(order))
        total -= order
    return tuple(orders)
