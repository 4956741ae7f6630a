"""What a futures trade does: position, profit, commission, and the position that funding sees."""

from collections.abc import Callable

import msgspec

from chimera_s1.adapters.simulator.funding.positions import Positions, Side
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.events import AccountEvent
from chimera_s1.adapters.simulator.matching.fees import (
    BNB,
    PERP_FEES,
    Commission,
    bnb_commission,
    commission,
)
from chimera_s1.adapters.simulator.matching.perp_margin import mark_price
from chimera_s1.adapters.simulator.matching.perp_positions import PositionBook
from chimera_s1.adapters.simulator.matching.perp_wallet import PerpWallet
from chimera_s1.adapters.simulator.matching.records import Position, Trade
from chimera_s1.domain.identifiers import Venue


class PerpSettlement:
    def __init__(
        self,
        market: Market,
        wallet: PerpWallet,
        positions: PositionBook,
        *,
        funded: Positions,
        behaviour: CurrentBehaviour,
        emit: Callable[[AccountEvent], None],
    ) -> None:
        self._market = market
        self._wallet = wallet
        self._positions = positions
        self._funded = funded
        self._behaviour = behaviour
        self._emit = emit

    def adopt(self, now_ms: int) -> None:
        """Hold what funding says is held, at the mark price."""
        for held in self._funded.held_at(now_ms + 1):
            for side, qty in held.amounts.items():
                position = Position(
                    symbol=held.market.spec.symbol,
                    side=side.value,
                    qty=qty,
                    entry_price=mark_price(held.market),
                    updated_ms=held.since_ms,
                )
                self._positions.adopt(position)

    def settle(self, trade: Trade) -> Trade:
        """Book *trade*; it with its commission and profit."""
        market = self._market.find_ever_listed(Venue.PERP, trade.symbol)
        if market is None:
            raise LookupError(f"{trade.symbol} was never listed on {Venue.PERP.value}")
        quote = market.spec.quote
        fee = self._commission(trade, quote)
        position, realized = self._positions.fill(trade)
        self._wallet.add(quote, realized)
        self._wallet.add(fee.asset, -fee.amount)
        self._fund(market, trade.at_ms)
        self._emit(
            AccountEvent(
                reason="ORDER",
                balances=tuple(self._wallet.balance(each) for each in sorted({quote, fee.asset})),
                positions=(position,),
                at_ms=trade.at_ms,
            )
        )
        return msgspec.structs.replace(
            trade, commission=fee.amount, commission_asset=fee.asset, realized=realized
        )

    def _commission(self, trade: Trade, quote: str) -> Commission:
        value = trade.price * trade.qty
        if self._behaviour.value.pays_in_bnb:
            held = self._wallet.amount(BNB)
            fee = bnb_commission(self._market, value, quote, PERP_FEES, held, maker=trade.maker)
            if fee is not None:
                return fee
        return commission(value, quote, PERP_FEES.rate(maker=trade.maker))

    def _fund(self, market: SymbolMarket, at_ms: int) -> None:
        """Funding income follows the positions."""
        held = self._positions.open(market.spec.symbol)
        amounts = {Side(each.side): each.qty for each in held}
        before = next(self._funded.held_at(at_ms, market.spec.symbol), None)
        asset = market.spec.quote if before is None else before.asset
        self._funded.open(market, at_ms, amounts, asset)
