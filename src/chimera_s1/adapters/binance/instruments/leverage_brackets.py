"""Leverage brackets of an account: `GET /fapi/v1/leverageBracket`, signed.

An array, or one object where a symbol is asked for; numbers are JSON numbers. Binance, USD-M
"Notional and Leverage Brackets".
"""

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.adapters.binance.exact_numbers import exact
from chimera_s1.domain.identifiers import Symbol, parse_symbol
from chimera_s1.domain.instruments.instrument import LeverageBracket, LeverageBrackets

PATH = "/fapi/v1/leverageBracket"

_Count: TypeAlias = Annotated[int, Meta(ge=0, le=100_000)]


class _Bracket(Struct):
    bracket: _Count
    initialLeverage: _Count  # noqa: N815 (Binance's name)
    notionalCap: Decimal  # noqa: N815 (Binance's name)
    notionalFloor: Decimal  # noqa: N815 (Binance's name)
    maintMarginRatio: Decimal  # noqa: N815 (Binance's name)
    cum: Decimal


class _SymbolBrackets(Struct):
    symbol: str
    brackets: Annotated[list[_Bracket], Meta(max_length=1_000)]
    notionalCoef: Decimal | None = None  # noqa: N815 (Binance's name)


Reply: TypeAlias = list[Raw] | dict[str, Raw]
REPLY: Any = Reply  # as a type to decode, a union is not a `type`


def rows(reply: Reply) -> list[Raw]:
    """One row a symbol."""
    if isinstance(reply, list):
        return reply
    fields = b",".join(msgspec.json.encode(name) + b":" + bytes(reply[name]) for name in reply)
    return [Raw(b"{" + fields + b"}")]


def decode_brackets(account: str, row: Raw) -> tuple[Symbol, LeverageBrackets]:
    """Raises:
    msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    symbol = msgspec.json.decode(row, type=_SymbolBrackets, strict=False)
    coef = symbol.notionalCoef
    return parse_symbol(symbol.symbol), LeverageBrackets(
        account=account,
        notional_coef=None if coef is None else exact("notionalCoef", coef),
        brackets=tuple(map(_bracket, symbol.brackets)),
    )


def _bracket(row: _Bracket) -> LeverageBracket:
    return LeverageBracket(
        bracket=row.bracket,
        initial_leverage=row.initialLeverage,
        notional_floor=exact("notionalFloor", row.notionalFloor),
        notional_cap=exact("notionalCap", row.notionalCap),
        maintenance_margin_ratio=exact("maintMarginRatio", row.maintMarginRatio),
        cumulative=exact("cum", row.cum),
    )
