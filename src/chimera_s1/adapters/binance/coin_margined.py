"""Rows about COIN-M contracts, which endpoints of USD-M have as well."""

import re

_NAME = re.compile(r".+USD_(PERP|\d{6})", re.ASCII)


def is_coin_margined(symbol: str) -> bool:
    """BTCUSD_PERP, BTCUSD_261225; a dated USD-M contract is BTCUSDT_261225."""
    return _NAME.fullmatch(symbol) is not None
