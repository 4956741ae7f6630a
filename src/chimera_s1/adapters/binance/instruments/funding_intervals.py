"""Funding intervals: `GET /fapi/v1/fundingInfo`, which has COIN-M contracts in it."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.domain.identifiers import Symbol, parse_symbol

PATH = "/fapi/v1/fundingInfo"

_COIN_MARGINED = re.compile(r".+USD_(PERP|\d{6})", re.ASCII)
"""COIN-M names: BTCUSD_PERP, BTCUSD_261225; a dated USD-M contract is BTCUSDT_261225."""


class _FundingInfo(Struct):
    symbol: str
    fundingIntervalHours: Annotated[int, Meta(ge=1, le=24)]  # noqa: N815 (Binance's name)


def decode_interval(row: Raw) -> tuple[Symbol, int] | None:
    """None for a COIN-M contract.

    Raises:
        msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    info = msgspec.json.decode(row, type=_FundingInfo, strict=False)
    if _COIN_MARGINED.fullmatch(info.symbol):
        return None
    return parse_symbol(info.symbol), info.fundingIntervalHours
