"""What Binance limits: SPOT rest-api.md "LIMITS", USD-M "General Info" and "Get Funding Rate
History", wallet "General Info", and connection attempts (SPOT web-socket-streams.md).
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

_MINUTE_MS = 60_000
_FIVE_MINUTES_MS = 5 * _MINUTE_MS
_DAY_MS = 24 * 60 * _MINUTE_MS
_WEIGHT = "request weight"
_REQUESTS = "requests"
_CONNECTIONS = "connection attempts"
ORDERS = "orders"


class Server(StrEnum):
    """Each bans an address as a whole."""

    SPOT_REST = "rest:spot"
    PERP_REST = "rest:perp"
    SPOT_STREAMS = "ws:spot"
    PERP_STREAMS = "ws:perp"


class Bucket(StrEnum):
    SPOT_WEIGHT = "spot.weight"
    SPOT_RAW = "spot.raw"
    SPOT_DIALS = "spot.dials"
    SPOT_ORDERS_10S = "spot.orders_10s"
    SPOT_ORDERS_1D = "spot.orders_1d"
    SAPI_IP = "sapi.ip"
    SAPI_UID = "sapi.uid"
    FUTURES_WEIGHT = "futures.weight"
    FUTURES_FUNDING = "futures.funding"
    FUTURES_DIALS = "futures.dials"
    FUTURES_ORDERS_10S = "futures.orders_10s"
    FUTURES_ORDERS_1M = "futures.orders_1m"


class LimitRule(Struct, frozen=True, kw_only=True):
    """The rule of one bucket.

    Attributes:
        limit: The most that may be used in a window of *window_ms*, exchange time.
        unit: Of what is counted, for messages.
        headers: They show in replies how much is used.
        on_the_minute: Windows begin at multiples of their length, as measured at Binance. Where no
            header shows the count, their begin is not known: any window counts, the strictest.
        per_account: Counted for the account, whatever the address.
    """

    server: Server
    limit: int
    window_ms: int = _MINUTE_MS
    unit: str = _WEIGHT
    headers: tuple[str, ...] = ()
    on_the_minute: bool = True
    per_account: bool = False


_WEIGHT_HEADERS = ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M")

RULES: Mapping[Bucket, LimitRule] = {
    Bucket.SPOT_WEIGHT: LimitRule(server=Server.SPOT_REST, limit=6_000, headers=_WEIGHT_HEADERS),
    Bucket.SPOT_RAW: LimitRule(
        server=Server.SPOT_REST,
        limit=300_000,
        window_ms=_FIVE_MINUTES_MS,
        unit=_REQUESTS,
        on_the_minute=False,
    ),
    Bucket.SPOT_DIALS: LimitRule(
        server=Server.SPOT_STREAMS,
        limit=300,
        window_ms=_FIVE_MINUTES_MS,
        unit=_CONNECTIONS,
        on_the_minute=False,
    ),
    # Of the account: orders without a fill. The first fill takes an order out of the count.
    Bucket.SPOT_ORDERS_10S: LimitRule(
        server=Server.SPOT_REST,
        limit=100,
        window_ms=10_000,
        unit=ORDERS,
        headers=("X-MBX-ORDER-COUNT-10S",),
        per_account=True,
    ),
    Bucket.SPOT_ORDERS_1D: LimitRule(
        server=Server.SPOT_REST,
        limit=200_000,
        window_ms=_DAY_MS,
        unit=ORDERS,
        headers=("X-MBX-ORDER-COUNT-1D",),
        per_account=True,
    ),
    Bucket.SAPI_IP: LimitRule(
        server=Server.SPOT_REST, limit=12_000, headers=("X-SAPI-USED-IP-WEIGHT-1M",)
    ),
    Bucket.SAPI_UID: LimitRule(
        server=Server.SPOT_REST,
        limit=180_000,
        headers=("X-SAPI-USED-UID-WEIGHT-1M",),
        per_account=True,
    ),
    # `/fapi` and `/dapi` together since 2026-06-30.
    Bucket.FUTURES_WEIGHT: LimitRule(server=Server.PERP_REST, limit=2_400, headers=_WEIGHT_HEADERS),
    Bucket.FUTURES_FUNDING: LimitRule(
        server=Server.PERP_REST,
        limit=500,
        window_ms=_FIVE_MINUTES_MS,
        unit=_REQUESTS,
        on_the_minute=False,
    ),
    Bucket.FUTURES_DIALS: LimitRule(
        server=Server.PERP_STREAMS,
        limit=300,
        window_ms=_FIVE_MINUTES_MS,
        unit=_CONNECTIONS,
        on_the_minute=False,
    ),
    # Of the account, on `/fapi` and `/dapi` together since 2026-06-30.
    Bucket.FUTURES_ORDERS_10S: LimitRule(
        server=Server.PERP_REST,
        limit=300,
        window_ms=10_000,
        unit=ORDERS,
        headers=("X-MBX-ORDER-COUNT-10S",),
        per_account=True,
    ),
    Bucket.FUTURES_ORDERS_1M: LimitRule(
        server=Server.PERP_REST,
        limit=1_200,
        unit=ORDERS,
        headers=("X-MBX-ORDER-COUNT-1M",),
        per_account=True,
    ),
}


class Charge(Struct, frozen=True):
    """A request or a dial adds *amount* to what is used of *bucket*."""

    bucket: Bucket
    amount: int


def charges(bucket: Bucket, weight: int) -> tuple[Charge, ...]:
    """All that a request of *weight* adds to."""
    match bucket:
        case Bucket.SPOT_WEIGHT:
            return (Charge(bucket, weight), Charge(Bucket.SPOT_RAW, 1))
        case Bucket.SPOT_ORDERS_10S:
            request = (Charge(Bucket.SPOT_WEIGHT, 0), Charge(Bucket.SPOT_RAW, 1))
            return (*request, *order_charges(weight))
        case Bucket.FUTURES_FUNDING:
            # It has no weight, but is refused above the limit of weight, and shows its use.
            return (Charge(Bucket.FUTURES_WEIGHT, 0), Charge(bucket, weight))
        case Bucket.FUTURES_ORDERS_10S:
            # A new order has no weight, and counts in both windows.
            one_minute = Charge(Bucket.FUTURES_ORDERS_1M, weight)
            return (Charge(Bucket.FUTURES_WEIGHT, 0), Charge(bucket, weight), one_minute)
        case _:
            return (Charge(bucket, weight),)


def order_charges(count: int) -> tuple[Charge, ...]:
    """What *count* spot orders without a fill add to."""
    return (Charge(Bucket.SPOT_ORDERS_10S, count), Charge(Bucket.SPOT_ORDERS_1D, count))
