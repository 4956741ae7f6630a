"""Commission: in the asset of the venue's rule, or in BNB with its discount."""

from decimal import ROUND_DOWN, Decimal

from msgspec import Struct

from chimera_s1.adapters.simulator.market.market import Market
from chimera_s1.adapters.simulator.matching.records import ZERO
from chimera_s1.domain.identifiers import Venue

BNB = "BNB"
_UNIT = Decimal("1E-8")
_STABLE = frozenset({"USDT", "USDC", "FDUSD"})
_BNB_PRICE = Decimal(600)


class FeeRates(Struct, frozen=True, kw_only=True):
    """Parts of the executed amount.

    Attributes:
        bnb_discount: What remains of a rate where BNB pays.
    """

    maker: Decimal
    taker: Decimal
    bnb_discount: Decimal

    def rate(self, *, maker: bool) -> Decimal:
        return self.maker if maker else self.taker


SPOT_FEES = FeeRates(maker=Decimal("0.001"), taker=Decimal("0.001"), bnb_discount=Decimal("0.75"))
PERP_FEES = FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005"), bnb_discount=Decimal("0.90"))


class Commission(Struct, frozen=True):
    amount: Decimal
    asset: str


def commission(amount: Decimal, asset: str, rate: Decimal) -> Commission:
    """Of *amount* of *asset*."""
    return Commission((amount * rate).quantize(_UNIT, ROUND_DOWN), asset)


def bnb_commission(
    market: Market, value: Decimal, quote: str, rates: FeeRates, free: Decimal, *, maker: bool
) -> Commission | None:
    """Of *value*, in *quote*, paid in BNB; None where BNB cannot pay: *free* is too little, or
    *quote* is no dollar.
    """
    if quote not in _STABLE:
        return None
    amount = value * rates.rate(maker=maker) * rates.bnb_discount / _bnb_price(market)
    due = commission(amount, BNB, Decimal(1))
    return due if ZERO < due.amount <= free else None


def _bnb_price(market: Market) -> Decimal:
    bnb = market.find(Venue.SPOT, "BNBUSDT")
    return _BNB_PRICE if bnb is None else Decimal(bnb.spec.price(bnb.ticks_of_bid_and_ask // 2))
