"""When spot symbols are delisted, and when TradFi contracts trade."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol
from chimera_s1.domain.instruments.trading_session import TradingSession

DELISTING_PATH = "/sapi/v1/spot/delist-schedule"
"""Wallet, "Get Symbols Delist Schedule for Spot"; needs a key."""

SESSIONS_PATH = "/fapi/v1/tradingSchedule"
"""USD-M, "Trading Schedule": a week from yesterday on."""

_Epoch: TypeAlias = Annotated[int, Meta(gt=0, le=2**53)]


class _Delisting(Struct):
    delistTime: _Epoch  # noqa: N815 (Binance's name)
    symbols: list[str]


class TradingSchedule(Struct):
    """By underlying type; a type that cannot be read does not cost the others."""

    marketSchedules: dict[str, Raw]  # noqa: N815 (Binance's name)


class _MarketSchedule(Struct):
    sessions: list[Raw]


class _Session(Struct):
    startTime: _Epoch  # noqa: N815 (Binance's name)
    endTime: _Epoch  # noqa: N815 (Binance's name)
    type: Annotated[str, Meta(min_length=1, max_length=64)]


def decode_delisting(row: Raw) -> list[tuple[InstrumentId, int]]:
    """Raises:
    msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    delisting = msgspec.json.decode(row, type=_Delisting, strict=False)
    return [
        (InstrumentId(Venue.SPOT, parse_symbol(symbol)), delisting.delistTime)
        for symbol in delisting.symbols
    ]


def session_rows(schedule: Raw) -> list[Raw]:
    """Raises:
    msgspec.DecodeError: Not a market's schedule.
    """
    return msgspec.json.decode(schedule, type=_MarketSchedule).sessions


def decode_session(row: Raw) -> TradingSession:
    """Raises:
    msgspec.DecodeError, InvalidValueError: The row cannot be used.
    """
    session = msgspec.json.decode(row, type=_Session, strict=False)
    if session.endTime <= session.startTime:
        raise InvalidValueError(
            f"session {session.type} ends at {session.endTime}, before it starts at "
            f"{session.startTime}"
        )
    return TradingSession(session.startTime, session.endTime, session.type)
