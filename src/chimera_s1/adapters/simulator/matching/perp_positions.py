"""The positions of the futures account: what its trades add up to."""

from decimal import Decimal

from chimera_s1.adapters.simulator.matching.liquidity import BUY
from chimera_s1.adapters.simulator.matching.records import ZERO, Position, Trade

BOTH, LONG, SHORT = "BOTH", "LONG", "SHORT"
_UNIT = Decimal("1E-8")


class PositionBook:
    """One position for each symbol and side: BOTH in one-way mode, LONG and SHORT in hedge mode."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Position] = {}

    def adopt(self, position: Position) -> None:
        """Hold *position* without a trade."""
        self._held[position.symbol, position.side] = position

    def find(self, symbol: str, side: str) -> Position:
        """A flat one where there was none yet."""
        flat = Position(symbol=symbol, side=side, qty=ZERO, entry_price=ZERO, updated_ms=0)
        return self._held.get((symbol, side), flat)

    def open(self, symbol: str | None = None) -> list[Position]:
        return [each for each in self._held.values() if each.qty and symbol in {None, each.symbol}]

    def reducible(self, symbol: str, position_side: str, side: str) -> Decimal:
        """How much an order on *side* can reduce."""
        held = self.find(symbol, position_side).qty
        return max(ZERO, -held if side == BUY else held)

    def fill(self, trade: Trade) -> tuple[Position, Decimal]:
        """The position after *trade*, and the profit of what it closed."""
        before = self.find(trade.symbol, trade.position_side)
        change = trade.qty if trade.side == BUY else -trade.qty
        after = before.qty + change
        closed = _closed(before.qty, change)
        profit = (closed * (trade.price - before.entry_price)).quantize(_UNIT)
        position = Position(
            symbol=trade.symbol,
            side=trade.position_side,
            qty=after,
            entry_price=_entry_price(before, change, trade.price),
            updated_ms=trade.at_ms,
            realized=before.realized + profit,
        )
        self._held[position.symbol, position.side] = position
        return position, profit


def _closed(held: Decimal, change: Decimal) -> Decimal:
    """How much of *held* it closes, with the sign of *held*."""
    if held * change >= 0:
        return ZERO
    return held if abs(change) >= abs(held) else -change


def _entry_price(before: Position, change: Decimal, price: Decimal) -> Decimal:
    """Of what is opened the average, of what is only reduced as before, after a reversal new."""
    after = before.qty + change
    if not after:
        return ZERO
    if before.qty * change >= 0:
        return (before.qty * before.entry_price + change * price) / after
    return before.entry_price if after * before.qty > 0 else price
