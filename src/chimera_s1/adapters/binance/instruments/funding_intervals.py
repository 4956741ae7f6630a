"""Funding intervals: `GET /fapi/v1/fundingInfo`, which has COIN-M contracts in it."""

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.adapters.binance.coin_margined import is_coin_margined
from chimera_s1.domain.identifiers import Symbol, parse_symbol

PATH = "/fapi/v1/fundingInfo"


class _FundingInfo(Struct):
    symbol: str
    fundingIntervalHours: Annotated[int, Meta(ge=1, le=24)]  # noqa: N815 (Binance's name)


def decode_interval(row: Raw) -> tuple[Symbol, int] | None:
    """None for a COIN-M contract.

    Raises:
        msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    info = msgspec.json.decode(row, type=_FundingInfo, strict=False)
    if is_coin_margined(info.symbol):
        return None
    return parse_symbol(info.symbol), info.fundingIntervalHours
