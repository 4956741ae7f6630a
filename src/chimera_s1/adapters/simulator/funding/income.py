"""What the account paid and received at funding settlements."""

from collections.abc import Iterator
from decimal import Decimal
from zlib import crc32

from msgspec import Struct

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.funding.positions import Position, Positions, Side
from chimera_s1.adapters.simulator.funding.rate_history import RateHistory
from chimera_s1.adapters.simulator.market.candles import price_at
from chimera_s1.adapters.simulator.market.funding_terms import HOUR_MS
from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.settlements import REGULAR, Settlement
from chimera_s1.domain.identifiers import Venue

FUNDING_FEE, SPECIAL_FUNDING_FEE = "FUNDING_FEE", "SPECIAL_FUNDING_FEE"
_LATE_MAX_MS = 40
_CONTRACTS_MAX = 10_000
_SIDES = tuple(Side)


class FundingFee(Struct, frozen=True):
    """A row of the income.

    Attributes:
        amount: In *asset*; negative if paid.
        tran_id: Unique within one type; both types may have the same.
    """

    symbol: str
    type: str
    amount: Decimal
    asset: str
    time_ms: int
    tran_id: int


class FundingIncome:
    def __init__(
        self, market: Market, rates: RateHistory, positions: Positions, clock: ScaledClock
    ) -> None:
        self._market = market
        self._rates = rates
        self._positions = positions
        self._clock = clock

    def fees(
        self, start_ms: int, end_ms: int, symbol: str | None, lag_ms: int
    ) -> Iterator[FundingFee]:
        """By time, both times included; each appears *lag_ms* and its own lag after its time."""
        now_ms = self._clock.now_ms()
        first_ms = self._positions.first_ms
        if first_ms is None:
            return
        begin_ms = max(start_ms, first_ms) // HOUR_MS * HOUR_MS
        for due_ms in range(begin_ms, min(end_ms, now_ms) + 1, HOUR_MS):
            for fee in self._fees_at(due_ms, symbol):
                visible_ms = fee.time_ms + lag_ms + self._rates.lag_of(f"{fee.type}{fee.tran_id}")
                if start_ms <= fee.time_ms <= end_ms and visible_ms <= now_ms:
                    yield fee

    def _fees_at(self, due_ms: int, symbol: str | None) -> list[FundingFee]:
        fees = [
            self._fee(position, side, row)
            for position in self._positions.held_at(due_ms, symbol)
            for row in self._rates.settled_at(due_ms, (position.market,))
            if row.mark_price
            for side in position.amounts
        ]
        return sorted(fees, key=lambda fee: fee.time_ms)

    def _fee(self, position: Position, side: Side, row: Settlement) -> FundingFee:
        number = position.number * len(_SIDES) + _SIDES.index(side)
        paid = position.amounts[side] * Decimal(row.mark_price) * Decimal(row.rate)
        price = self._price(position.asset, position.market.spec.quote, row.due_ms)
        return FundingFee(
            symbol=row.symbol,
            type=FUNDING_FEE if row.rate_type == REGULAR else SPECIAL_FUNDING_FEE,
            amount=round(-paid / price, 8),
            asset=position.asset,
            time_ms=row.due_ms + crc32(f"{row.due_ms}{row.symbol}{side}".encode()) % _LATE_MAX_MS,
            tran_id=row.due_ms // HOUR_MS * _CONTRACTS_MAX + number,
        )

    def _price(self, asset: str, quote: str, moment_ms: int) -> Decimal:
        """Of *asset* in *quote*; 1 where no spot market in USDT has it."""
        market = None if asset == quote else self._market.find(Venue.SPOT, f"{asset}USDT")
        return Decimal(1) if market is None else Decimal(price_at(market.spec, moment_ms))
