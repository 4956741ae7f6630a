"""Realised funding rates: `GET /fapi/v1/fundingRate`.

Binance, USD-M "Get Funding Rate History": ascending by time, both times included; no key.
"""

from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.coin_margined import is_coin_margined
from chimera_s1.adapters.binance.exact_numbers import signed
from chimera_s1.adapters.binance.funding.row_fields import EpochMs, parse_name
from chimera_s1.adapters.binance.http.signing import Parameters
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.settlement import REGULAR, Settlement, SettlementKey
from chimera_s1.domain.identifiers import Symbol, parse_symbol

PATH = "/fapi/v1/fundingRate"
PAGE_ROWS = 1_000


class _RateRow(Struct):
    symbol: str
    fundingRate: str  # noqa: N815 (Binance's name)
    fundingTime: EpochMs  # noqa: N815 (Binance's name)
    markPrice: str | None = None  # noqa: N815 (Binance's name)
    rateType: str = REGULAR  # noqa: N815 (Binance's name)


def page_parameters(start: int, end: int, symbol: Symbol | None) -> Parameters:
    return (
        *((("symbol", symbol),) if symbol is not None else ()),
        ("startTime", str(start)),
        ("endTime", str(end)),
        ("limit", str(PAGE_ROWS)),
    )


def decode_rate(row: Raw) -> Settlement | None:
    """None for a COIN-M contract.

    Raises:
        msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    rate = msgspec.json.decode(row, type=_RateRow, strict=False)
    if is_coin_margined(rate.symbol):
        return None
    kind = parse_name("rateType", rate.rateType)
    return Settlement(
        SettlementKey(rate.fundingTime, parse_symbol(rate.symbol), kind),
        signed("fundingRate", rate.fundingRate),
        _mark_price(rate.markPrice),
    )


def _mark_price(text: str | None) -> Decimal | None:
    """Rows of 2022 and before have none."""
    price = signed("markPrice", text) if text else Decimal(0)
    if price < 0:
        raise InvalidValueError(f"markPrice {text} is below 0")
    return price or None
