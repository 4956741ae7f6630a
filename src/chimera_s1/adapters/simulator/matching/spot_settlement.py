"""Money of spot orders: what they lock, pay, receive and are charged."""

from decimal import Decimal

import msgspec

from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.behaviour import CurrentBehaviour
from chimera_s1.adapters.simulator.matching.fees import (
    BNB,
    SPOT_FEES,
    Commission,
    bnb_commission,
    commission,
)
from chimera_s1.adapters.simulator.matching.records import Order, Trade
from chimera_s1.adapters.simulator.matching.spot_wallet import LockKey, SpotWallet
from chimera_s1.adapters.simulator.rest.replies import BinanceError


class SpotSettlement:
    def __init__(self, market: Market, wallet: SpotWallet, behaviour: CurrentBehaviour) -> None:
        self._market = market
        self._wallet = wallet
        self._behaviour = behaviour

    def lock(self, spec: SymbolSpec, order: Order, price: Decimal, market_cost: Decimal) -> None:
        """Set aside what *order*, and the other leg of its list, may have to pay.

        Market orders lock nothing: they are paid for at once.
        """
        asset, unit = _paid(spec, order.side, price)
        at_market = order.type == "MARKET"
        needed = market_cost if at_market and order.side == "BUY" else unit * order.qty
        if needed > self._wallet.free(asset):
            raise BinanceError(-2010, "Account has insufficient balance for requested action.")
        if not at_market:
            self._wallet.lock(_lock_key(order), asset, unit, order.qty)

    def executable(self, spec: SymbolSpec, order: Order, price: Decimal) -> Decimal:
        """No more than the wallet can pay for."""
        asset, unit = _paid(spec, order.side, price)
        step = Decimal(spec.quantity(1))
        funds = self._wallet.free(asset) + self._wallet.locked_for(_lock_key(order))
        return min(order.remaining, funds / unit // step * step)

    def settle(self, spec: SymbolSpec, order: Order, trade: Trade) -> Trade:
        """Exchange the assets; *trade* with its commission."""
        value = trade.price * trade.qty
        if order.side == "BUY":
            paid, amount, received, gain = spec.quote, value, spec.base, trade.qty
        else:
            paid, amount, received, gain = spec.base, trade.qty, spec.quote, value
        fee = self._bnb_fee(spec, trade, value)
        if fee is None:
            fee = commission(gain, received, SPOT_FEES.rate(maker=trade.maker))
        self._wallet.pay(_lock_key(order), paid, amount, order.remaining)
        self._wallet.add(received, gain)
        self._wallet.add(fee.asset, -fee.amount)
        return msgspec.structs.replace(trade, commission=fee.amount, commission_asset=fee.asset)

    def _bnb_fee(self, spec: SymbolSpec, trade: Trade, value: Decimal) -> Commission | None:
        if not self._behaviour.value.pays_in_bnb or spec.base == BNB:
            return None
        free = self._wallet.free(BNB)
        return bnb_commission(self._market, value, spec.quote, SPOT_FEES, free, maker=trade.maker)


def _paid(spec: SymbolSpec, side: str, price: Decimal) -> tuple[str, Decimal]:
    """The asset that an order pays, and how much of it for one unit of quantity."""
    return (spec.quote, price) if side == "BUY" else (spec.base, Decimal(1))


def _lock_key(order: Order) -> LockKey:
    """Both legs of a list spend one lock: only one of them is executed."""
    return ("", order.list_id) if order.list_id != -1 else (order.symbol, order.order_id)
