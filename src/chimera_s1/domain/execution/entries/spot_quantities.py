"""Quantities that the exchange accepts for the orders that end a spot entry."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Final

from chimera_s1.domain.execution.entries.specs import SpotEntrySpec
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import Rounding
from chimera_s1.domain.instruments.order_rules import ExecutionRules, order_rules

_ZERO: Final = Decimal(0)
_QUOTIENT_DIGITS: Final = 30


class LegalQuantities:
    """Of orders that fill in all of *kinds*, and at any of *prices*; without *kinds*, all are."""

    def __init__(
        self, kinds: Sequence[ExecutionRules] = (), prices: Sequence[Decimal] = ()
    ) -> None:
        self._kinds = kinds
        self._prices = prices

    def floor(self, qty: Decimal) -> Decimal:
        """The part of *qty* that can be ordered, in one order or several; the rest is dust."""
        on_step = self._on_step(qty)
        return on_step if on_step > 0 and self._is_enough(on_step) else _ZERO

    def of_one_order(self, qty: Decimal) -> Decimal:
        """The most of *qty* that one order can have."""
        for kind in self._kinds:
            if kind.quantities.maximum is not None:
                qty = min(qty, kind.quantities.maximum)
            if kind.max_notional is not None:
                qty = min(qty, *(quotient(kind.max_notional, price) for price in self._prices))
        return self.floor(qty)

    def _on_step(self, qty: Decimal) -> Decimal:
        for kind in (*self._kinds, *self._kinds):  # the second pass mends where steps differ
            qty = kind.quantities.snap(qty, Rounding.DOWN)
        return qty

    def _is_enough(self, qty: Decimal) -> bool:
        return all(
            qty >= (kind.quantities.minimum or _ZERO)
            and all(qty * price >= (kind.min_notional or _ZERO) for price in self._prices)
            for kind in self._kinds
        )


def list_quantities(
    spec: SpotEntrySpec, stop_limit: Decimal | None, instrument: InstrumentSpec | None
) -> LegalQuantities:
    """Of an order list with a stop that has *stop_limit*, or is a market order."""
    if instrument is None:
        return LegalQuantities()
    rules = order_rules(instrument)
    if stop_limit is not None:
        return LegalQuantities((rules.limit,), (spec.tp_price, stop_limit))
    return LegalQuantities((rules.limit, rules.market), (spec.tp_price, spec.sl_trigger_price))


def exit_quantities(price: Decimal, instrument: InstrumentSpec | None) -> LegalQuantities:
    """Of a market order while the price is about *price*."""
    if instrument is None:
        return LegalQuantities()
    return LegalQuantities((order_rules(instrument).market,), (price,))


def limit_quantities(price: Decimal, instrument: InstrumentSpec | None) -> LegalQuantities:
    if instrument is None:
        return LegalQuantities()
    return LegalQuantities((order_rules(instrument).limit,), (price,))


def quotient(amount: Decimal, price: Decimal) -> Decimal:
    """Rounded down: what *amount* pays for at *price*."""
    with localcontext(prec=_QUOTIENT_DIGITS, rounding=ROUND_FLOOR):
        return amount / price
