"""Quotes, their conditions, and the entries of `mkt:events:*` that they are read from."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from msgspec import Struct

from chimera_s1_client.errors import InvalidArgumentError

EVENTS_PREFIX = "mkt:events:"
VENUES = ("spot", "perp")


class State(StrEnum):
    """How far a quote can be trusted. `mkt:status:*` may have other values in future.

    LIVE to GAP are the service's words. The last four are this client's own: SILENT, the service
    writes nothing about the venue; UNREADABLE, the stream or the venue's `mkt:status:*` cannot be
    read now; UNKNOWN, no entry of `mkt:status:*` about the instrument is left; BEHIND, the consumer
    takes updates too slowly, so a newer quote exists, or may.
    """

    LIVE = "LIVE"
    QUIET = "QUIET"
    LATE = "LATE"
    DEGRADED = "DEGRADED"
    STALE = "STALE"
    BLIND = "BLIND"
    GAP = "GAP"
    SILENT = "SILENT"
    UNREADABLE = "UNREADABLE"
    UNKNOWN = "UNKNOWN"
    BEHIND = "BEHIND"


class Condition(Struct, frozen=True):
    """The state of an instrument's quotes.

    Attributes:
        state: One of `State`, or a later version's word.
        since: Epoch ms; 0 if not known.
        cause: For people.
    """

    state: str
    since: int = 0
    cause: str = ""

    @property
    def trusted(self) -> bool:
        """Whether the newest quote is the market's, as far as the service can tell."""
        return self.state in {State.LIVE, State.QUIET}


class Instrument(Struct, frozen=True, order=True):
    """Written `spot/BTCUSDT` or `perp/BTCUSDT`."""

    venue: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}/{self.symbol}"

    @property
    def stream(self) -> str:
        return f"{EVENTS_PREFIX}{self.venue}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `InvalidArgumentError` for anything else than venue/SYMBOL."""
        venue, _, symbol = text.partition("/")
        if venue not in VENUES or not symbol or set(symbol) & set(" /:{}*"):
            raise InvalidArgumentError(
                f"{text!r} is not an instrument like spot/BTCUSDT or perp/BTCUSDT"
            )
        return cls(venue, symbol)


class Quote(Struct, frozen=True, kw_only=True):
    """The top of a book.

    Attributes:
        ts: When it was so, local epoch ms of the service.
        source: Like `binance.spot.bookTicker`.
        condition: When the quote was handed out.
    """

    instrument: Instrument
    entry_id: str
    ts: int
    bid: float
    ask: float
    mid: float
    spread_bps: float
    top1_qty: float
    top1_usdt: float
    source: str
    condition: Condition

    def age_ms(self, now_ms: int) -> int:
        return now_ms - self.ts


def decode_quote(
    instrument: Instrument, entry_id: str, fields: Mapping[str, str], condition: Condition
) -> Quote:
    """Unknown fields are ignored.

    Raises:
        KeyError, ValueError: A field is missing, or is no number.
    """
    return Quote(
        instrument=instrument,
        entry_id=entry_id,
        ts=int(fields["ts"]),
        bid=float(fields["bid1"]),
        ask=float(fields["ask1"]),
        mid=float(fields["mid"]),
        spread_bps=float(fields["spread_bps"]),
        top1_qty=float(fields["top1_qty"]),
        top1_usdt=float(fields["top1_usdt"]),
        source=fields["src"],
        condition=condition,
    )
