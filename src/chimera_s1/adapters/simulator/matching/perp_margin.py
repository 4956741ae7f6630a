"""Margin of futures positions and orders, in USDT."""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.matching.records import Position


class PositionRisk(Struct, frozen=True, kw_only=True):
    """A position at the mark price; *notional* is negative if short."""

    position: Position
    mark_price: Decimal
    notional: Decimal
    unrealized: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal


class AccountMargin(Struct, frozen=True, kw_only=True):
    """*available* is what may be used for orders and moved out of the wallet."""

    wallet: Decimal
    unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    available: Decimal
