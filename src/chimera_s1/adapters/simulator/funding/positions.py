"""The account's positions, as far as funding needs them: constant from a moment on.

Funding asks for full hours only, and for three months: of each hour the last position is kept.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.market import SymbolMarket

_KEPT_MS = 93 * 24 * HOUR_MS


class Side(StrEnum):
    """Binance's `positionSide`: hedge mode has LONG and SHORT, one-way mode BOTH."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


class Position(Struct, frozen=True):
    """In one contract, from *since_ms* to the next one.

    Attributes:
        number: Of the contract, in the order of first positions.
        amounts: Of the base asset, negative if short; empty once it is closed.
        asset: What funding is paid in.
    """

    market: SymbolMarket
    number: int
    since_ms: int
    amounts: dict[Side, Decimal]
    asset: str


class Positions:
    def __init__(self) -> None:
        self._of: dict[str, list[Position]] = {}

    def open(
        self, market: SymbolMarket, since_ms: int, amounts: dict[Side, Decimal], asset: str
    ) -> Position:
        """Replace what was held in the contract from *since_ms* on."""
        kept = self._of.setdefault(market.spec.symbol, [])
        earlier = [each for each in kept if each.since_ms // HOUR_MS < since_ms // HOUR_MS]
        forgotten = sum(each.since_ms < since_ms - _KEPT_MS for each in earlier) - 1
        kept[:] = earlier[max(0, forgotten) :]
        number = list(self._of).index(market.spec.symbol)
        held = {side: amount for side, amount in amounts.items() if amount}
        kept.append(Position(market, number, since_ms, held, asset))
        return kept[-1]

    def held_at(self, moment_ms: int, symbol: str | None = None) -> Iterator[Position]:
        """Those that were opened before *moment_ms* and not closed; of all without *symbol*."""
        for named, positions in self._of.items():
            if symbol in {None, named}:
                opened = [each for each in positions if each.since_ms < moment_ms]
                yield from opened[-1:]

    def ever_held(self) -> Iterator[Position]:
        return (each for positions in self._of.values() for each in positions)

    @property
    def first_ms(self) -> int | None:
        """Before the first one there was none."""
        return min((each[0].since_ms for each in self._of.values()), default=None)
