"""A funding settlement as the exchange publishes it."""

from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct

from chimera_s1.domain.identifiers import Symbol

REGULAR: Final = "Regular"
SPECIAL: Final = "Special"
"""Dividends of TradFi contracts, for example. The exchange may name a third type tomorrow."""


class SettlementKey(NamedTuple):
    """Orders by time. One symbol may settle twice at one time, with different types.

    Attributes:
        funding_time: As published, epoch ms; it may be some ms off the full hour.
        rate_type: The exchange's text.
    """

    funding_time: int
    symbol: Symbol
    rate_type: str


class Settlement(Struct, frozen=True, gc=False):
    """One row of `GET /fapi/v1/fundingRate`.

    Attributes:
        rate: Realised; a fraction.
        mark_price: None where the exchange does not say: old rows.
    """

    key: SettlementKey
    rate: Decimal
    mark_price: Decimal | None
