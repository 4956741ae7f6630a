"""Rows and changes for the tests of the instrument registry."""

from decimal import Decimal
from typing import Any

import msgspec

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    LeverageBracket,
    LeverageBrackets,
    RegistryChange,
    RegistryRow,
)
from chimera_s1.domain.operations.active_configuration import RiskLimits

START = 1_772_514_460_893
CHINESE = "币安人生USDT"
PRICE_FILTER = '{"filterType":"PRICE_FILTER","maxPrice":"1000","minPrice":"0.10","tickSize":"0.10"}'
UNKNOWN_FILTER = '{"filterType":"TOMORROW","limit":7,"nested":{"a":[1,2]},"share":0.5}'


def instrument(symbol: str, venue: Venue = Venue.PERP) -> InstrumentId:
    return InstrumentId(venue, Symbol(symbol))


def full_row(
    symbol: str, version: int = 1, venue: Venue = Venue.PERP, **changes: Any
) -> RegistryRow:
    """A row in which every attribute has a value."""
    bracket = LeverageBracket(
        bracket=1,
        initial_leverage=125,
        notional_floor=Decimal(0),
        notional_cap=Decimal("50000.0"),
        maintenance_margin_ratio=Decimal("0.0040"),
        cumulative=Decimal("92233720368.54775807"),
    )
    spec = InstrumentSpec(
        instrument=instrument(symbol, venue),
        status="TRADING",
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        margin_asset="USDT",
        contract_type="TRADIFI_PERPETUAL",
        underlying_type="EQUITY",
        underlying_sub_types=("TradFi",),
        onboard_date=START,
        delivery_date=4_133_404_800_000,
        tick_size=Decimal("0.10"),
        min_price=Decimal("0.10"),
        max_price=Decimal("1E+3"),
        step_size=Decimal("1E-8"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(1000),
        market_step_size=Decimal("0.001"),
        market_min_qty=Decimal("0.001"),
        market_max_qty=Decimal(120),
        min_notional=Decimal(100),
        max_notional=Decimal("9000000.00"),
        market_min_notional=Decimal(100),
        market_max_notional=Decimal(9_000_000),
        order_types=("LIMIT", "MARKET", "ORDER_OF_TOMORROW"),
        times_in_force=("GTC", "GTX"),
        oco_allowed=True,
        oto_allowed=True,
        opo_allowed=True,
        filters=(PRICE_FILTER, UNKNOWN_FILTER),
    )
    content = InstrumentContent(
        spec=spec,
        leverage_brackets=LeverageBrackets(
            account="live:1", notional_coef=Decimal("1.50"), brackets=(bracket,)
        ),
        funding_interval_h=4,
        delisting_date=START + 5,
        risk=RiskLimits(rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20_000.0),
    )
    row = RegistryRow(
        content=content,
        spec_hash=f"{version:064x}",
        version=version,
        updated_at=START + version,
        checked_at=START + version,
    )
    return msgspec.structs.replace(row, **changes)


def bare_row(symbol: str) -> RegistryRow:
    """A row in which whatever may be absent is absent."""
    spec = InstrumentSpec(
        instrument=instrument(symbol, Venue.SPOT),
        status="STATUS_OF_TOMORROW",
        base_asset=symbol,
        quote_asset="USDT",
    )
    return RegistryRow(
        content=InstrumentContent(spec=spec, listed=False),
        spec_hash="0" * 64,
        version=1,
        updated_at=START,
        checked_at=START,
    )


def change_to(row: RegistryRow) -> RegistryChange:
    return RegistryChange(
        row=row,
        old_hash="" if row.version == 1 else f"{row.version - 1:064x}",
        difference=(("status", "PENDING_TRADING", "TRADING"), ("tick_size", "", "0.10")),
        source="exchangeInfo",
    )


def change(symbol: str, version: int = 1, **changes: Any) -> RegistryChange:
    return change_to(full_row(symbol, version, **changes))
