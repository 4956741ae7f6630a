"""Instruments for tests: specs, contents and registry rows."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import structs

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.canonical import spec_hash
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    LeverageBracket,
    LeverageBrackets,
    RegistryRow,
)

BTC_PERP = InstrumentSpec(
    instrument=InstrumentId(Venue.PERP, Symbol("BTCUSDT")),
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    margin_asset="USDT",
    contract_type="PERPETUAL",
    underlying_type="COIN",
    onboard_date=1_569_398_400_000,
    tick_size=Decimal("0.1"),
    min_price=Decimal("556.8"),
    max_price=Decimal(4_529_764),
    step_size=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    market_step_size=Decimal("0.001"),
    market_min_qty=Decimal("0.001"),
    market_max_qty=Decimal(120),
    min_notional=Decimal(100),
    market_min_notional=Decimal(100),
    order_types=("LIMIT", "MARKET", "STOP_MARKET"),
    times_in_force=("GTC", "IOC", "GTX"),
    filters=('{"filterType":"PRICE_FILTER","maxPrice":"4529764","minPrice":"556.80"}',),
)

BTC_SPOT = InstrumentSpec(
    instrument=InstrumentId(Venue.SPOT, Symbol("BTCUSDT")),
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    tick_size=Decimal("0.01"),
    min_price=Decimal("0.01"),
    max_price=Decimal(1_000_000),
    step_size=Decimal("0.00001"),
    min_qty=Decimal("0.00001"),
    max_qty=Decimal(9000),
    market_step_size=Decimal("0.00001"),
    market_min_qty=Decimal("0.00001"),
    market_max_qty=Decimal(126),
    min_notional=Decimal(5),
    max_notional=Decimal(9_000_000),
    market_min_notional=Decimal(5),
    order_types=("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS"),
    oco_allowed=True,
)

BRACKETS = LeverageBrackets(
    account="live:1",
    notional_coef=Decimal("1.5"),
    brackets=(
        LeverageBracket(
            bracket=1,
            initial_leverage=125,
            notional_floor=Decimal(0),
            notional_cap=Decimal(300_000),
            maintenance_margin_ratio=Decimal("0.004"),
            cumulative=Decimal(0),
        ),
    ),
)


def perp_spec(symbol: str, status: str = "TRADING") -> InstrumentSpec:
    return structs.replace(
        BTC_PERP, instrument=InstrumentId(Venue.PERP, Symbol(symbol)), status=status
    )


def perp_specs(count: int, status: str = "TRADING") -> tuple[InstrumentSpec, ...]:
    return tuple(perp_spec(f"{status[:3]}{number:03}USDT", status) for number in range(count))


def registry_row(name: str, **fields: object) -> RegistryRow:
    """An instrument that trades in USDT; *fields* replace those of its spec."""
    instrument = InstrumentId.parse(name)
    base = BTC_PERP if instrument.venue is Venue.PERP else BTC_SPOT
    return registry_rows([structs.replace(base, instrument=instrument, **fields)])[0]


def with_content(row: RegistryRow, **fields: object) -> RegistryRow:
    """A later version of *row*, with *fields* of its content replaced."""
    content = structs.replace(row.content, **fields)
    return structs.replace(
        row, content=content, spec_hash=spec_hash(content), version=row.version + 1
    )


def registry_rows(specs: Iterable[InstrumentSpec], now: int = 0) -> tuple[RegistryRow, ...]:
    """As a first sync leaves them, without what other reads add."""
    return tuple(
        RegistryRow(
            content=(content := InstrumentContent(spec=spec)),
            spec_hash=spec_hash(content),
            version=1,
            updated_at=now,
            checked_at=now,
        )
        for spec in specs
    )
