"""What a fault can act on: requests, streams, single connections, the clock, the market."""

import re
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Venue


class RequestTarget(Struct, frozen=True):
    """`GET /fapi/v1/time`: requests with this method and path, whatever their query."""

    method: str
    path: str

    @property
    def is_listing(self) -> bool:
        return self.path.endswith("/exchangeInfo")

    @property
    def is_funding(self) -> bool:
        return self.path in {"/fapi/v1/fundingRate", "/fapi/v1/income"}


class VenueRequestsTarget(Struct, frozen=True):
    """`rest:spot`: every request to this venue."""

    venue: Venue


class StreamTarget(Struct, frozen=True):
    """`ws:perp` or `ws:perp:<stream>`; an empty stream means every stream of the venue."""

    venue: Venue
    stream: str = ""

    def covers(self, venue: Venue, stream: str) -> bool:
        return self.venue is venue and self.stream in {"", stream}


class UserStreamTarget(Struct, frozen=True):
    """`user:spot` or `user:spot:executionReport`; an empty event means every event."""

    venue: Venue
    event: str = ""

    def covers(self, venue: Venue, event: str) -> bool:
        return self.venue is venue and self.event in {"", event}


class ConnectionTarget(Struct, frozen=True):
    """`ws:spot#3`: the third connection opened to this venue, for market data or a user stream."""

    venue: Venue
    number: int


class GlobalTarget(StrEnum):
    """What both venues share."""

    CLOCK = "clock"
    MARKET = "market"


Target = (
    RequestTarget
    | VenueRequestsTarget
    | StreamTarget
    | UserStreamTarget
    | ConnectionTarget
    | GlobalTarget
)

_REQUEST = re.compile(r"(GET|POST|PUT|DELETE) (/[^\s?]*)")
_VENUE_REQUESTS = re.compile(r"rest:(spot|perp)")
_CONNECTION = re.compile(r"ws:(spot|perp)#([1-9][0-9]{0,9})")
_USER_STREAM = re.compile(r"user:(spot|perp)(?::([A-Za-z_]{1,40}))?")
_STREAM = re.compile(r"ws:(spot|perp)(?::([^#]+))?")


def parse_target(on: str) -> Target:
    """Parse the control plane's `on`.

    Raises:
        InvalidValueError: It is none of the forms above.
    """
    if found := _REQUEST.fullmatch(on):
        return RequestTarget(found[1], found[2])
    if found := _VENUE_REQUESTS.fullmatch(on):
        return VenueRequestsTarget(Venue(found[1]))
    if found := _CONNECTION.fullmatch(on):
        return ConnectionTarget(Venue(found[1]), int(found[2]))
    if found := _USER_STREAM.fullmatch(on):
        return UserStreamTarget(Venue(found[1]), found[2] or "")
    if found := _STREAM.fullmatch(on):
        return StreamTarget(Venue(found[1]), found[2] or "")
    if on in set(GlobalTarget):
        return GlobalTarget(on)
    raise InvalidValueError(
        f"on: {on!r} is not a target; write a request (GET /fapi/v1/time, without a query), "
        "rest:spot, rest:perp, ws:spot, ws:perp, one stream (ws:perp:btcusdt@bookTicker), one "
        "connection (ws:spot#3), user:spot, user:perp, one kind of user event "
        "(user:spot:executionReport), clock or market"
    )
