"""Funding paid and received per day."""

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from typing import Final, Self

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol

_PRECISION: Final = 200
"""Digits; an amount has at most 80 (its own 40, and those of a price), so no sum is rounded."""


class DailyFunding(Struct, frozen=True, kw_only=True, gc=False):
    """The settlements of one contract on one UTC day.

    Attributes:
        day: Its start, epoch ms.
        received, paid: Sums of the positive and of the negative amounts, USDT; *paid* is negative
            or 0.
        without_amount: How many of the settlements have no `amount_usdt`.
    """

    day: int
    symbol: Symbol
    settlements: int
    received: Decimal
    paid: Decimal
    without_amount: int


class FundingSums(Struct, frozen=True, kw_only=True):
    """Of several days or contracts, as in `DailyFunding`."""

    settlements: int
    without_amount: int
    received: Decimal
    paid: Decimal
    net: Decimal

    @classmethod
    def of(cls, rows: Sequence[DailyFunding]) -> Self:
        with localcontext(prec=_PRECISION):
            received = sum((each.received for each in rows), Decimal(0))
            paid = sum((each.paid for each in rows), Decimal(0))
            return cls(
                settlements=sum(each.settlements for each in rows),
                without_amount=sum(each.without_amount for each in rows),
                received=received,
                paid=paid,
                net=received + paid,
            )


def sum_day(day: int, symbol: Symbol, amounts: Iterable[Decimal | None]) -> DailyFunding:
    """The sums of *amounts*, one for each settlement."""
    settlements = without_amount = 0
    received = paid = Decimal(0)
    with localcontext(prec=_PRECISION):
        for amount in amounts:
            settlements += 1
            if amount is None:
                without_amount += 1
            elif amount > 0:
                received += amount
            else:
                paid += amount
    return DailyFunding(
        day=day,
        symbol=symbol,
        settlements=settlements,
        received=received,
        paid=paid,
        without_amount=without_amount,
    )
