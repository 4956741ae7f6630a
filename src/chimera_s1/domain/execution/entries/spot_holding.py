"""What a spot entry holds: bought and not sold yet, or sold and not bought back yet."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from chimera_s1.domain.execution.entries.entry import EntryOrders
from chimera_s1.domain.execution.entries.specs import BaseQty, SpotEntrySpec
from chimera_s1.domain.execution.entries.spot_lists import covered_by, has_fired
from chimera_s1.domain.execution.entries.spot_quantities import (
    LegalQuantities,
    exit_quantities,
    list_quantities,
)
from chimera_s1.domain.execution.entries.spot_requests import stop_limit
from chimera_s1.domain.execution.entries.steps import Situation
from chimera_s1.domain.execution.events import RefusalReason
from chimera_s1.domain.execution.order_request import Side
from chimera_s1.domain.execution.tracked_order import OrderPhase, TrackedOrder
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.instruments.instrument import InstrumentSpec

FILL_GATHERING_MS: Final = 250
"""A market order that is reported as open has mostly ended; only its last report is missing."""

COMMISSION_WAIT_MS: Final = 2_000
ASSUMED_COMMISSION: Final = Decimal("0.001")
"""Of a purchase whose commission is not known: the highest ordinary rate. Each order that is
refused for want of balance adds as much.
"""

_REFUSALS_COUNTED_MAX: Final = 20
_ZERO: Final = Decimal(0)


class SpotHolding(Struct, frozen=True, kw_only=True):
    """*filled* is the sum of the other quantities, *dust* being the part that no order can end.

    Attributes:
        commission: Taken in the base asset of what was bought, or assumed.
        closed: By order lists and exits.
        covered: By stops at the exchange.
        exposed: Neither closed nor covered, and enough for an order.
    """

    filled: Decimal
    commission: Decimal
    closed: Decimal
    reduced: Decimal
    covered: Decimal
    exposed: Decimal
    dust: Decimal

    @property
    def held(self) -> Decimal:
        return self.covered + self.exposed + self.dust


def spot_holding(situation: Situation, spec: SpotEntrySpec) -> SpotHolding:
    orders, reduced = situation.orders, situation.entry.reduced_qty
    filled = _ZERO if orders.entry is None else orders.entry.filled_qty
    commission = _commission(situation, spec)
    closed = sum((order.filled_qty for order in (*orders.lists, *orders.exits)), _ZERO)
    held = max(filled - commission - closed - reduced, _ZERO)
    at_exchange = (covered_by(order, situation.now_ms) for order in orders.lists)
    covered = min(sum(at_exchange, _ZERO), held)
    exposed = end_quantities(situation, spec).floor(held - covered)
    return SpotHolding(
        filled=filled,
        commission=commission,
        closed=closed,
        reduced=reduced,
        covered=covered,
        exposed=exposed,
        dust=held - covered - exposed,
    )


def is_exiting(situation: Situation) -> bool:
    """What is not covered is ended at market: a stop has fired, or the guard has decided."""
    return situation.entry.triggered is not None or any(map(has_fired, situation.orders.lists))


def end_quantities(situation: Situation, spec: SpotEntrySpec) -> LegalQuantities:
    """Of the orders that end what is not covered. The prices are fixed ones: what is dust stays so,
    whatever the market does.
    """
    triggered, instrument = situation.entry.triggered, situation.instrument
    if triggered is not None:
        return exit_quantities(triggered.price, instrument)
    if is_exiting(situation):
        return exit_quantities(spec.sl_trigger_price, instrument)
    if situation.entry.guard is not None:
        return exit_quantities(min(spec.tp_price, spec.sl_trigger_price), instrument)
    return list_quantities(spec, stop_limit(spec, instrument), instrument)


def last_fill_ms(situation: Situation) -> int:
    """Of the entry order."""
    order = situation.orders.entry
    at_order = 0 if order is None else order.at_ms
    return max((fill.at_ms for fill in situation.fills), default=at_order)


def filled_for_good_ms(situation: Situation, spec: SpotEntrySpec) -> int:
    """From when on what the entry order has filled counts, exchange epoch ms; 0: now."""
    order = situation.orders.entry
    if order is None or order.phase is OrderPhase.CLOSED:
        return 0
    if isinstance(spec.amount, BaseQty) and order.filled_qty >= spec.amount.qty:
        return 0
    return last_fill_ms(situation) + FILL_GATHERING_MS


def commission_known_ms(situation: Situation, spec: SpotEntrySpec) -> int:
    """From when on the commission is assumed, exchange epoch ms; 0: it is known."""
    order = situation.orders.entry
    if order is None or spec.side is Side.SELL or not order.lacks_fills:
        return 0
    return last_fill_ms(situation) + COMMISSION_WAIT_MS


def exposed_since_ms(situation: Situation, exposed: Decimal) -> int:
    """When the first trade was made that is neither closed nor covered: older ones come first."""
    order = situation.orders.entry
    assert order is not None, "nothing is exposed without an order"
    ended, seen = order.filled_qty - exposed, _ZERO
    for fill in situation.fills:
        seen += fill.qty
        if seen > ended:
            return fill.at_ms
    return order.at_ms


def balance_refusals(orders: Iterable[TrackedOrder]) -> int:
    return sum(order.refusal is RefusalReason.BALANCE for order in orders)


def may_still_trade(orders: EntryOrders) -> bool:
    """An order that ends the entry is at the exchange, or may be."""
    return any(order.is_open for order in (*orders.lists, *orders.exits))


def _commission(situation: Situation, spec: SpotEntrySpec) -> Decimal:
    order = situation.orders.entry
    if order is None or spec.side is Side.SELL:
        return _ZERO  # what was sold is bought back, whatever it has cost
    known = sum(
        (
            amount
            for asset, amount in order.fills.commissions.items()
            if asset == _base_asset(spec.symbol, situation.instrument, asset)
        ),
        _ZERO,
    )
    if not order.lacks_fills:
        return max(known, _ZERO)
    said = order.fills.qty
    if order.fills.without_commission:
        said = sum((fill.qty for fill in situation.fills if fill.commission is not None), _ZERO)
    unsaid = max(order.filled_qty - said, _ZERO)
    refused = balance_refusals((*situation.orders.lists, *situation.orders.exits))
    rate = ASSUMED_COMMISSION * (1 + min(refused, _REFUSALS_COUNTED_MAX))
    return max(known, _ZERO) + unsaid * rate


def _base_asset(symbol: Symbol, instrument: InstrumentSpec | None, asset: str) -> str:
    """*asset*, if it is the base asset; a symbol begins with its base asset."""
    if instrument is not None:
        return instrument.base_asset
    return asset if asset and symbol.startswith(asset) else ""
