"""The orders that end what a spot entry has opened."""

from decimal import Decimal
from typing import Final

from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id, step_of
from chimera_s1.domain.execution.entries.specs import SpotEntrySpec, exit_side
from chimera_s1.domain.execution.order_request import (
    Limit,
    Market,
    OcoStop,
    OcoTakeProfit,
    Side,
    SpotOco,
    SpotOrder,
    TimeInForce,
)
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.execution.price_bands import price_band
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.instruments.order_grid import Rounding
from chimera_s1.domain.instruments.order_rules import order_rules

_STOP_LIMIT_DISTANCE: Final = Decimal("0.01")
"""How far a stop with a limit may fill beyond its trigger, as a fraction of it."""


def stop_limit(
    spec: SpotEntrySpec,
    instrument: InstrumentSpec | None,
    prices: CurrentPrices | None = None,
) -> Decimal | None:
    """The limit of the stop, where the symbol has no stop that is a market order."""
    if instrument is None or not instrument.order_types or "STOP_LOSS" in instrument.order_types:
        return None
    sells = exit_side(spec.side) is Side.SELL
    distance = -_STOP_LIMIT_DISTANCE if sells else _STOP_LIMIT_DISTANCE
    return _limit_price(spec, spec.sl_trigger_price * (1 + distance), instrument, prices)


def oco_request(
    spec: SpotEntrySpec, list_id: str, entry_id: str, qty: Decimal, limit: Decimal | None
) -> SpotOco:
    """*limit*: of the stop; None makes it a market order."""
    step = step_of(list_id)
    assert step is not None, list_id
    profit_id = order_id(entry_id, OrderRole.TAKE_PROFIT, step.number)
    stop_id = order_id(entry_id, OrderRole.STOP_LEG, step.number)
    return SpotOco(
        client_id=list_id,
        symbol=spec.symbol,
        side=exit_side(spec.side),
        qty=qty,
        take_profit=OcoTakeProfit(client_id=profit_id, price=spec.tp_price),
        stop=OcoStop(client_id=stop_id, trigger=spec.sl_trigger_price, limit=limit),
    )


def market_exit(spec: SpotEntrySpec, client_id: str, qty: Decimal) -> SpotOrder:
    side = exit_side(spec.side)
    return SpotOrder(client_id=client_id, symbol=spec.symbol, side=side, body=Market(qty=qty))


def limit_exit(spec: SpotEntrySpec, client_id: str, qty: Decimal, price: Decimal) -> SpotOrder:
    """It takes what the book offers at *price* or better, and ends."""
    return SpotOrder(
        client_id=client_id,
        symbol=spec.symbol,
        side=exit_side(spec.side),
        body=Limit(qty=qty, price=price, time_in_force=TimeInForce.IOC),
    )


def exit_price(
    spec: SpotEntrySpec, instrument: InstrumentSpec | None, prices: CurrentPrices
) -> Decimal:
    """The best price of the book, as far as the price band allows it."""
    return _limit_price(spec, exit_quote(spec, prices), instrument, prices)


def exit_quote(spec: SpotEntrySpec, prices: CurrentPrices) -> Decimal:
    """The best price in the book at which the exit can trade now."""
    return prices.bid if exit_side(spec.side) is Side.SELL else prices.ask


def _limit_price(
    spec: SpotEntrySpec,
    price: Decimal,
    instrument: InstrumentSpec | None,
    prices: CurrentPrices | None,
) -> Decimal:
    """On the grid, within the band, and otherwise not worse to fill than *price*."""
    if instrument is None:
        return price
    side, grid = exit_side(spec.side), order_rules(instrument).prices
    band = price_band(instrument, side, None if prices is None else prices.reference)
    price = grid.snap(price, Rounding.DOWN if side is Side.SELL else Rounding.UP)
    if band.low is not None and price < band.low:
        price = grid.snap(band.low, Rounding.UP)
    if band.high is not None and price > band.high:
        price = grid.snap(band.high, Rounding.DOWN)
    return price
