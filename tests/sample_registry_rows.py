"""Rows of the instrument registry for tests."""

from decimal import Decimal
from hashlib import sha256
from typing import Any

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    LeverageBracket,
    LeverageBrackets,
    RegistryRow,
)
from chimera_s1.domain.operations.active_configuration import RiskLimits

SEEN_MS = 1_772_514_460_893


def registry_row(name: str, *, version: int = 1, **fields: Any) -> RegistryRow:
    """An instrument that trades in USDT; *fields* replace those of its spec."""
    instrument = InstrumentId.parse(name)
    given = {
        "status": "TRADING",
        "base_asset": instrument.symbol.removesuffix("USDT"),
        "quote_asset": "USDT",
        "contract_type": "PERPETUAL" if name.startswith("perp") else "",
        "tick_size": Decimal("0.10"),
        "step_size": Decimal("0.001"),
        "filters": ('{"filterType":"MAX_NUM_ORDERS","limit":200}',),
        **fields,
    }
    content = InstrumentContent(spec=InstrumentSpec(instrument=instrument, **given))
    return row_of(content, version=version)


def row_of(content: InstrumentContent, *, version: int = 1) -> RegistryRow:
    text = repr(content).encode()
    return RegistryRow(
        content=content,
        spec_hash=sha256(text).hexdigest(),
        version=version,
        updated_at=SEEN_MS,
        checked_at=SEEN_MS + version,
    )


BRACKETS = LeverageBrackets(
    account="simulator:354937868",
    notional_coef=Decimal("1.50"),
    brackets=(
        LeverageBracket(
            bracket=1,
            initial_leverage=125,
            notional_floor=Decimal(0),
            notional_cap=Decimal(50_000),
            maintenance_margin_ratio=Decimal("0.0040"),
            cumulative=Decimal(0),
        ),
    ),
)
RISK = RiskLimits(rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20_000.0)
