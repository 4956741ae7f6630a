"""The parameters that name instruments."""

from typing import Annotated

from litestar.openapi.spec import Example, OpenAPIType, Schema
from litestar.params import PathParameter, QueryParameter

from chimera_s1.app.web.parameters import parse_value
from chimera_s1.domain.identifiers import SYMBOL_PATTERN, InstrumentId, Symbol, Venue, parse_symbol

SYMBOLS_MAX = 200
"""Symbols one request may name; without any it means all."""

_EXAMPLES_OF_VENUE = [Example(value="spot")]
_EXAMPLES_OF_SYMBOL = [Example(value="BTCUSDT")]
_SEVERAL_SYMBOLS = f"^{SYMBOL_PATTERN}(,{SYMBOL_PATTERN}){{0,{SYMBOLS_MAX - 1}}}$"

VenueInPath = Annotated[
    Venue, PathParameter(description="`spot` or `perp`.", examples=_EXAMPLES_OF_VENUE)
]
SymbolInPath = Annotated[
    str,
    PathParameter(
        description="The venue's own code; lower case is read as upper case.",
        examples=_EXAMPLES_OF_SYMBOL,
        schema_extra={"pattern": f"^{SYMBOL_PATTERN}$"},
    ),
]
VenueWanted = Annotated[
    Venue | None,
    QueryParameter(description="Quotes of this venue only.", examples=_EXAMPLES_OF_VENUE),
]
SymbolsWanted = Annotated[
    list[str] | None,
    QueryParameter(
        description="Quotes of these symbols only, at most 200; repeated, or separated by commas.",
        examples=_EXAMPLES_OF_SYMBOL,
        schema_extra={
            "items": Schema(type=OpenAPIType.STRING, pattern=_SEVERAL_SYMBOLS),
            "min_items": 1,
            "max_items": SYMBOLS_MAX,
        },
    ),
]


def instrument_in_path(venue: Venue, symbol: str) -> InstrumentId:
    """The instrument.

    Raises:
        InvalidValueError: *symbol* is not a symbol.
    """
    return InstrumentId(venue, read_symbol(symbol))


def read_symbol(text: str) -> Symbol:
    return parse_value("symbol", parse_symbol, text)
