"""The order that opens an entry, and those that will end it if all of it is filled."""

from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal
from typing import Final, assert_never

from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.entries.specs import (
    BaseQty,
    EntrySpec,
    FuturesEntrySpec,
    QuoteAmount,
    SpotEntrySpec,
    exit_side,
)
from chimera_s1.domain.execution.order_request import (
    Limit,
    Market,
    MarketForQuote,
    OcoStop,
    OcoTakeProfit,
    OrderRequest,
    PerpAlgoOrder,
    PerpOrder,
    Side,
    SpotOco,
    SpotOrder,
    Stop,
    TimeInForce,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import Rounding
from chimera_s1.domain.instruments.order_rules import order_rules

COMMISSION_MAX: Final = Decimal("0.001")
"""The highest spot fee tier. Source: Binance, spot fee schedule."""

_QUOTIENT_UNIT: Final = Decimal("1e-12")


def entry_order(spec: EntrySpec, entry_id: str) -> OrderRequest:
    client_id = order_id(entry_id, OrderRole.ENTRY)
    match spec:
        case FuturesEntrySpec():
            return PerpOrder(
                client_id=client_id,
                symbol=spec.symbol,
                side=spec.side,
                scope=spec.opening_scope,
                body=Limit(qty=spec.qty, price=spec.limit_price, time_in_force=TimeInForce.GTX),
            )
        case SpotEntrySpec(amount=amount):
            return SpotOrder(
                client_id=client_id,
                symbol=spec.symbol,
                side=spec.side,
                body=(
                    Market(qty=amount.qty)
                    if isinstance(amount, BaseQty)
                    else MarketForQuote(quote_qty=amount.usdt)
                ),
            )
        case _:
            assert_never(spec)


def planned_exits(
    spec: EntrySpec, instrument: InstrumentSpec, prices: CurrentPrices
) -> Iterator[OrderRequest]:
    """The orders that will protect the entry if all of it is filled."""
    match spec:
        case FuturesEntrySpec():
            yield PerpAlgoOrder(
                client_id=order_id("", OrderRole.STOP),
                symbol=spec.symbol,
                side=exit_side(spec.side),
                scope=spec.closing_scope,
                working_type=spec.working_type,
                body=Stop(qty=_one_stop(spec.qty, instrument), trigger=spec.stop_price),
            )
        case SpotEntrySpec():
            yield SpotOco(
                client_id=order_id("", OrderRole.OCO),
                symbol=spec.symbol,
                side=exit_side(spec.side),
                qty=least_exit_qty(spec, instrument, prices),
                take_profit=OcoTakeProfit(
                    client_id=order_id("", OrderRole.TAKE_PROFIT), price=spec.tp_price
                ),
                stop=OcoStop(
                    client_id=order_id("", OrderRole.STOP_LEG), trigger=spec.sl_trigger_price
                ),
            )
        case _:
            assert_never(spec)


def _one_stop(qty: Decimal, instrument: InstrumentSpec) -> Decimal:
    """More than one market order may fill is protected by several stops."""
    most = instrument.market_max_qty
    return qty if most is None else min(qty, most)


def least_exit_qty(
    spec: SpotEntrySpec, instrument: InstrumentSpec, prices: CurrentPrices
) -> Decimal:
    """What is held at least after the entry, with the commission taken in the base asset."""
    qty = spec.amount.qty if isinstance(spec.amount, BaseQty) else spec.amount.usdt / prices.ask
    least = qty * (1 - COMMISSION_MAX) if spec.side is Side.BUY else qty
    step = order_rules(instrument).limit.quantities
    return step.snap(_shortened(least), Rounding.DOWN)


def _shortened(value: Decimal) -> Decimal:
    """A quotient may have more digits than an exact number."""
    return value.quantize(_QUOTIENT_UNIT, rounding=ROUND_FLOOR)


def worth_usdt(spec: EntrySpec, prices: CurrentPrices) -> Decimal:
    """At its limit price, or at the price that it would pay."""
    if isinstance(spec, FuturesEntrySpec):
        return spec.qty * spec.limit_price
    match spec.amount:
        case QuoteAmount(usdt=usdt):
            return usdt
        case BaseQty(qty=qty):
            return qty * prices.ask
        case _:
            assert_never(spec.amount)
