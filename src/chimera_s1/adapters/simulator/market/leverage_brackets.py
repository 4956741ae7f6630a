"""The notional brackets of a futures contract: the larger the position, the lower its leverage."""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.market.symbols import SymbolSpec

_CAPS = (50_000, 250_000, 1_000_000, 5_000_000, 20_000_000, 100_000_000)
_MARGIN_SHARE = Decimal("0.5")
"""Maintenance margin as a share of the initial margin, about as at Binance."""


class LeverageBracket(Struct, frozen=True):
    """One bracket.

    Attributes:
        number: From 1.
        min_leverage, max_leverage: Allowed within it.
        floor, cap: Notional, in the quote asset.
        maintenance_ratio: Of the part of the notional within it.
        cumulated: Subtracted from notional times ratio, so that the margin has no steps.
    """

    number: int
    min_leverage: int
    max_leverage: int
    floor: int
    cap: int
    maintenance_ratio: Decimal
    cumulated: Decimal


def leverage_brackets(spec: SymbolSpec) -> tuple[LeverageBracket, ...]:
    """Brackets from the contract's highest leverage down to 1, each with a lower leverage."""
    leverages = sorted({max(1, spec.max_leverage >> n) for n in range(len(_CAPS) - 1)} | {1})[::-1]
    brackets: list[LeverageBracket] = []
    floor, ratio, cumulated = 0, Decimal(0), Decimal(0)
    for index, leverage in enumerate(leverages):
        lower = leverages[index + 1] + 1 if index + 1 < len(leverages) else 1
        before, ratio = ratio, (_MARGIN_SHARE / leverage).quantize(Decimal("0.0001"))
        cumulated += floor * (ratio - (before if index else ratio))
        brackets.append(
            LeverageBracket(index + 1, lower, leverage, floor, _CAPS[index], ratio, cumulated)
        )
        floor = _CAPS[index]
    return tuple(brackets)


def largest_notional(spec: SymbolSpec, leverage: int) -> int:
    """Of a position at *leverage*, in the quote asset."""
    caps = [each.cap for each in leverage_brackets(spec) if each.max_leverage >= leverage]
    return max(caps, default=0)
