"""Positions of the futures as `/fapi` shows them."""

from decimal import Decimal
from typing import Any

from chimera_s1.adapters.simulator.account.movements import (
    ASSET,
    format_amount,
    format_amount_fixed,
)
from chimera_s1.adapters.simulator.market.leverage_brackets import largest_notional
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.perp_margin import PositionRisk
from chimera_s1.adapters.simulator.matching.perp_settings import CROSSED, PerpSettings
from chimera_s1.adapters.simulator.matching.records import Position

Row = dict[str, Any]

_ZERO = Decimal(0)
_ZERO_TEXT = format_amount_fixed(_ZERO)


def flat_risk(symbol: str, side: str) -> PositionRisk:
    """Of no position."""
    return PositionRisk(
        position=Position(symbol=symbol, side=side, qty=_ZERO, entry_price=_ZERO, updated_ms=0),
        mark_price=_ZERO,
        notional=_ZERO,
        unrealized=_ZERO,
        initial_margin=_ZERO,
        maintenance_margin=_ZERO,
    )


def position_v3(risk: PositionRisk) -> Row:
    """Neither leverage nor margin type: those are in `symbolConfig`."""
    return {
        **_held(risk),
        "markPrice": format_amount_fixed(risk.mark_price),
        "entryPrice": format_amount(round(risk.position.entry_price, 8)),
        "breakEvenPrice": format_amount(round(risk.position.entry_price, 8)),
        "unRealizedProfit": format_amount_fixed(risk.unrealized),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": format_amount_fixed(risk.notional),
        "marginAsset": ASSET,
        "isolatedWallet": "0",
        **_margins(risk),
        "positionInitialMargin": format_amount_fixed(risk.initial_margin),
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": risk.position.updated_ms,
    }


def position_v2(risk: PositionRisk, spec: SymbolSpec, settings: PerpSettings) -> Row:
    leverage = settings.leverage(spec.symbol)
    return {
        **_held(risk),
        "entryPrice": format_amount(round(risk.position.entry_price, 8)),
        "breakEvenPrice": format_amount(round(risk.position.entry_price, 8)),
        "markPrice": format_amount_fixed(risk.mark_price),
        "unRealizedProfit": format_amount_fixed(risk.unrealized),
        "liquidationPrice": "0",
        "leverage": str(leverage),
        "maxNotionalValue": str(largest_notional(spec, leverage)),
        "marginType": "cross" if settings.margin_type(spec.symbol) == CROSSED else "isolated",
        "isolatedMargin": _ZERO_TEXT,
        "isAutoAddMargin": "false",
        "notional": format_amount_fixed(risk.notional),
        "isolatedWallet": "0",
        "updateTime": risk.position.updated_ms,
    }


def account_position_v3(risk: PositionRisk) -> Row:
    return {
        **_held(risk),
        "unrealizedProfit": format_amount_fixed(risk.unrealized),
        "isolatedMargin": _ZERO_TEXT,
        "notional": format_amount_fixed(risk.notional),
        "isolatedWallet": "0",
        **_margins(risk),
        "updateTime": risk.position.updated_ms,
    }


def account_position_v2(risk: PositionRisk, settings: PerpSettings) -> Row:
    symbol = risk.position.symbol
    return {
        **_held(risk),
        **_margins(risk),
        "unrealizedProfit": format_amount_fixed(risk.unrealized),
        "positionInitialMargin": format_amount_fixed(risk.initial_margin),
        "openOrderInitialMargin": _ZERO_TEXT,
        "leverage": str(settings.leverage(symbol)),
        "isolated": settings.margin_type(symbol) != CROSSED,
        "entryPrice": format_amount(round(risk.position.entry_price, 8)),
        "breakEvenPrice": format_amount(round(risk.position.entry_price, 8)),
        "maxNotional": "250000",
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": risk.position.updated_ms,
    }


def _held(risk: PositionRisk) -> Row:
    """`positionAmt` is negative if short."""
    position = risk.position
    return {
        "symbol": position.symbol,
        "positionSide": position.side,
        "positionAmt": format_amount(position.qty),
    }


def _margins(risk: PositionRisk) -> Row:
    return {
        "initialMargin": format_amount_fixed(risk.initial_margin),
        "maintMargin": format_amount_fixed(risk.maintenance_margin),
    }
