"""Margin of futures positions and orders, in USDT. Liquidation is not simulated."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.account.movements import ASSET
from chimera_s1.adapters.simulator.market.leverage_brackets import leverage_brackets
from chimera_s1.adapters.simulator.market.mark_prices import mark_and_index_price
from chimera_s1.adapters.simulator.market.market import Market, SymbolMarket
from chimera_s1.adapters.simulator.market.symbols import SymbolSpec
from chimera_s1.adapters.simulator.matching.order_store import OrderStore
from chimera_s1.adapters.simulator.matching.perp_positions import PositionBook
from chimera_s1.adapters.simulator.matching.perp_settings import PerpSettings
from chimera_s1.adapters.simulator.matching.perp_wallet import PerpWallet
from chimera_s1.adapters.simulator.matching.records import ZERO, Order, Position
from chimera_s1.domain.identifiers import Venue


class PositionRisk(Struct, frozen=True, kw_only=True):
    """A position at the mark price; *notional* is negative if short."""

    position: Position
    mark_price: Decimal
    notional: Decimal
    unrealized: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal


class AccountMargin(Struct, frozen=True, kw_only=True):
    """*available* is what new orders may use."""

    wallet: Decimal
    unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal

    @property
    def available(self) -> Decimal:
        return self.wallet + self.unrealized - self.position_margin - self.order_margin


class MarginRules:
    def __init__(
        self,
        market: Market,
        orders: OrderStore,
        positions: PositionBook,
        wallet: PerpWallet,
        settings: PerpSettings,
    ) -> None:
        self._market = market
        self._orders = orders
        self._positions = positions
        self._wallet = wallet
        self._settings = settings

    def risk(self, position: Position) -> PositionRisk:
        market = self._listed(position.symbol)
        mark = mark_price(market)
        notional = position.qty * mark
        return PositionRisk(
            position=position,
            mark_price=mark,
            notional=notional,
            unrealized=position.qty * (mark - position.entry_price),
            initial_margin=abs(notional) / self._settings.leverage(position.symbol),
            maintenance_margin=_maintenance(market.spec, abs(notional)),
        )

    def account(self) -> AccountMargin:
        risks = [self.risk(each) for each in self._positions.open()]
        return AccountMargin(
            wallet=self._wallet.amount(ASSET),
            unrealized=_sum(each.unrealized for each in risks),
            position_margin=_sum(each.initial_margin for each in risks),
            order_margin=self._order_margin(self._orders.open()),
            maintenance_margin=_sum(each.maintenance_margin for each in risks),
        )

    def in_use(self) -> Decimal:
        """What cannot be moved out of the wallet: an open loss counts, an open profit does not."""
        risks = [self.risk(each) for each in self._positions.open()]
        loss = min(ZERO, _sum(each.unrealized for each in risks))
        margins = _sum(each.initial_margin for each in risks)
        return margins + self._order_margin(self._orders.open()) - loss

    def is_sufficient(self, order: Order, price: Decimal) -> bool:
        """For *order*, which is not open yet, executed at *price*."""
        opening = self._opening_qty(order)
        needed = opening * price / self._settings.leverage(order.symbol)
        return not opening or needed <= self.account().available

    def is_within_limit(self, order: Order, price: Decimal) -> bool:
        """Whether the leverage allows a position of this size."""
        opening = self._opening_qty(order)
        held = abs(self._positions.find(order.symbol, order.position_side).qty)
        leverage = self._settings.leverage(order.symbol)
        brackets = leverage_brackets(self._listed(order.symbol).spec)
        cap = max((each.cap for each in brackets if each.max_leverage >= leverage), default=0)
        return not opening or (held + opening) * price <= cap

    def _opening_qty(self, order: Order) -> Decimal:
        if order.reduce_only:
            return ZERO
        reducible = self._positions.reducible(order.symbol, order.position_side, order.side)
        return max(ZERO, order.remaining - reducible)

    def _order_margin(self, orders: Iterable[Order]) -> Decimal:
        """Of what the open orders would open; older orders reduce first."""
        reducible: dict[tuple[str, str, str], Decimal] = {}
        total = ZERO
        for order in orders:
            if order.reduce_only:
                continue
            key = (order.symbol, order.position_side, order.side)
            left = reducible.setdefault(key, self._positions.reducible(*key))
            reduced = min(left, order.remaining)
            reducible[key] = left - reduced
            value = (order.remaining - reduced) * order.price
            total += value / self._settings.leverage(order.symbol)
        return total

    def _listed(self, symbol: str) -> SymbolMarket:
        market = self._market.find_ever_listed(Venue.PERP, symbol)
        if market is None:
            raise LookupError(f"{symbol} was never listed on {Venue.PERP.value}")
        return market


def mark_price(market: SymbolMarket) -> Decimal:
    mark, _ = mark_and_index_price(market)
    return Decimal(mark)


def _maintenance(spec: SymbolSpec, notional: Decimal) -> Decimal:
    brackets = leverage_brackets(spec)
    bracket = next((each for each in brackets if notional <= each.cap), brackets[-1])
    return notional * bracket.maintenance_ratio - bracket.cumulated


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
