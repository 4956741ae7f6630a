"""Prices and quantities that the venue accepts for an instrument.

An order is made of `OrderPrice` and `OrderQuantity`, and only this module makes them. Sources:
Binance, SPOT filters.md and USD-M "Common Definition". Bands around a moving price (PERCENT_PRICE)
are not checked here.
"""

from decimal import ROUND_UP, Decimal, localcontext
from enum import StrEnum
from typing import NewType, assert_never

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import EXACT_PRECISION, Grid, Rounding, check_exact
from chimera_s1.domain.money import exact_text

OrderPrice = NewType("OrderPrice", Decimal)
OrderQuantity = NewType("OrderQuantity", Decimal)

_QUOTIENT_DIGITS = 30


class Execution(StrEnum):
    """How an order fills. A stop that is triggered fills like a market order."""

    LIMIT = "limit"
    MARKET = "market"


class ExecutionRules(Struct, frozen=True, kw_only=True):
    """Of all orders that fill in one way; a notional is None where there is no such rule."""

    quantities: Grid
    min_notional: Decimal | None
    max_notional: Decimal | None


class OrderRules(Struct, frozen=True, kw_only=True):
    instrument: InstrumentId
    prices: Grid
    limit: ExecutionRules
    market: ExecutionRules

    def of_execution(self, execution: Execution) -> ExecutionRules:
        match execution:
            case Execution.LIMIT:
                return self.limit
            case Execution.MARKET:
                return self.market
            case _:
                assert_never(execution)

    def price(self, value: Decimal) -> OrderPrice:
        """*value*, which must be legal as it is: callers' prices are not rounded.

        Raises:
            InvalidValueError: It is not; the text names the rule.
        """
        self._refuse(self.prices.defect(value))
        return OrderPrice(value)

    def round_price(self, value: Decimal, rounding: Rounding) -> OrderPrice:
        """Raises:
        InvalidValueError: There is no legal price there.
        """
        return OrderPrice(self._round(self.prices, value, rounding))

    def quantity(self, value: Decimal, execution: Execution) -> OrderQuantity:
        """*value*, which must be legal as it is: callers' quantities are not rounded.

        Raises:
            InvalidValueError: It is not; the text names the rule.
        """
        self._refuse(self.of_execution(execution).quantities.defect(value))
        return OrderQuantity(value)

    def round_quantity(
        self, value: Decimal, execution: Execution, rounding: Rounding
    ) -> OrderQuantity:
        """Raises:
        InvalidValueError: There is no legal quantity there. One above the maximum is not cut: a
            close is split with `split_market_close`.
        """
        grid = self.of_execution(execution).quantities
        return OrderQuantity(self._round(grid, value, rounding))

    def check_notional(
        self,
        price: Decimal,
        quantity: OrderQuantity,
        execution: Execution,
        *,
        reduce_only: bool = False,
    ) -> None:
        """*price* is the limit; for a market order the price that the venue assumes.

        Futures orders that only reduce a position need no minimum.

        Raises:
            InvalidValueError: Too little or too much; the text names the rule.
        """
        rules = self.of_execution(execution)
        check_exact("price", price)
        with localcontext(prec=EXACT_PRECISION):
            notional = price * quantity
        exempt = reduce_only and self.instrument.venue is Venue.PERP
        if rules.min_notional is not None and notional < rules.min_notional and not exempt:
            limit = f"below the minimum {exact_text(rules.min_notional)}"
            self._refuse(f"notional {exact_text(notional)} is {limit}")
        if rules.max_notional is not None and notional > rules.max_notional:
            limit = f"above the maximum {exact_text(rules.max_notional)}"
            self._refuse(f"notional {exact_text(notional)} is {limit}")

    def smallest_quantity(self, price: OrderPrice, execution: Execution) -> OrderQuantity:
        """The smallest that is legal and has the minimum notional at *price*.

        Raises:
            InvalidValueError: It is above the maximum.
        """
        rules = self.of_execution(execution)
        least = [value for value in (rules.quantities.minimum, rules.quantities.step) if value]
        if rules.min_notional is not None:
            with localcontext(prec=_QUOTIENT_DIGITS, rounding=ROUND_UP):
                least.append(rules.min_notional / price)
        if not least:
            self._refuse("the venue sets no smallest quantity")
        return self.round_quantity(max(least), execution, Rounding.UP)

    def _round(self, grid: Grid, value: Decimal, rounding: Rounding) -> Decimal:
        try:
            return grid.round(value, rounding)
        except InvalidValueError as error:
            raise InvalidValueError(f"{self.instrument}: {error}") from None

    def _refuse(self, defect: str) -> None:
        if defect:
            raise InvalidValueError(f"{self.instrument}: {defect}")


def order_rules(spec: InstrumentSpec) -> OrderRules:
    # Futures: (price - minPrice) % tickSize is 0; spot: price % tickSize.
    origin = spec.min_price if spec.instrument.venue is Venue.PERP else None
    return OrderRules(
        instrument=spec.instrument,
        prices=Grid(
            name="price",
            step=spec.tick_size,
            origin=origin or Decimal(0),
            minimum=spec.min_price,
            maximum=spec.max_price,
        ),
        limit=ExecutionRules(
            quantities=Grid(
                name="quantity", step=spec.step_size, minimum=spec.min_qty, maximum=spec.max_qty
            ),
            min_notional=spec.min_notional,
            max_notional=spec.max_notional,
        ),
        market=ExecutionRules(
            quantities=Grid(
                name="market quantity",
                step=spec.market_step_size,
                minimum=spec.market_min_qty,
                maximum=spec.market_max_qty,
            ),
            min_notional=spec.market_min_notional,
            max_notional=spec.market_max_notional,
        ),
    )
