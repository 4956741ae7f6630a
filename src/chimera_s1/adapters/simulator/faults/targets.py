"""What a fault can hit: requests, streams, single connections, the exchange's clock, the market."""

import re
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue


class RestTarget(Struct, frozen=True):
    """`GET /fapi/v1/time`: requests with this method and path, query left out."""

    method: str
    path: str


class VenueRestTarget(Struct, frozen=True):
    """`rest:spot`: every request to this venue."""

    venue: Venue


class StreamTarget(Struct, frozen=True):
    """`ws:perp` or `ws:perp:<stream>`; an empty stream is all of the venue."""

    venue: Venue
    stream: str = ""

    def covers(self, venue: Venue, stream: str) -> bool:
        """Whether a frame of *stream* is meant."""
        return self.venue is venue and self.stream in {"", stream}


class ConnectionTarget(Struct, frozen=True):
    """`ws:spot#3`: the third connection that was opened to this venue."""

    venue: Venue
    number: int


class GlobalTarget(StrEnum):
    """What is not one venue's: both share one clock and one pace."""

    CLOCK = "clock"
    MARKET = "market"


Target = RestTarget | VenueRestTarget | StreamTarget | ConnectionTarget | GlobalTarget

_REQUEST = re.compile(r"(GET|POST|PUT|DELETE) (/[^\s?]*)")
_VENUE_REST = re.compile(r"rest:(spot|perp)")
_CONNECTION = re.compile(r"ws:(spot|perp)#([1-9][0-9]{0,9})")
_STREAM = re.compile(r"ws:(spot|perp)(?::([^#]+))?")


def parse_target(on: str) -> Target:
    """Read the control plane's `on`.

    Raises:
        InvalidValueError: It is none of the above.
    """
    if found := _REQUEST.fullmatch(on):
        return RestTarget(found[1], found[2])
    if found := _VENUE_REST.fullmatch(on):
        return VenueRestTarget(Venue(found[1]))
    if found := _CONNECTION.fullmatch(on):
        return ConnectionTarget(Venue(found[1]), int(found[2]))
    if found := _STREAM.fullmatch(on):
        return StreamTarget(Venue(found[1]), found[2] or "")
    if on in set(GlobalTarget):
        return GlobalTarget(on)
    raise InvalidValueError(
        f"on: {on!r} is no target; write a request (GET /fapi/v1/time, without a query), "
        "rest:spot, rest:perp, ws:spot, ws:perp, one stream (ws:perp:btcusdt@bookTicker), one "
        "connection (ws:spot#3), clock or market"
    )
