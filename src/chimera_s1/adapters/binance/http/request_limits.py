"""What Binance limits on each REST host, and what a request spends of it.

The limits come from `exchangeInfo.rateLimits` where it names them. It names neither the bucket of
the funding endpoints, nor those of `/sapi`, so there is a table (SPOT rest-api.md "LIMITS", USD-M
"General Info" and "Get Funding Rate History", wallet "General Info"). How much is used, replies
report in headers, for everything behind this address; of some buckets nothing reports it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.http.http_date import http_date_ms
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.limit_name import LimitName
from chimera_s1.domain.operations.request_bucket import BucketLimit, UsedReport
from chimera_s1.domain.operations.request_budget import Charge

SPOT_WEIGHT = LimitName.SPOT_WEIGHT.value
SPOT_RAW = LimitName.SPOT_RAW.value
SPOT_ORDERS_10S = LimitName.SPOT_ORDERS_10S.value
SPOT_ORDERS_1D = LimitName.SPOT_ORDERS_1D.value
SAPI_IP = LimitName.SAPI_IP.value
SAPI_UID = LimitName.SAPI_UID.value
FUTURES_WEIGHT = LimitName.FUTURES_WEIGHT.value
FUTURES_FUNDING = LimitName.FUTURES_FUNDING.value
FUTURES_ORDERS_10S = LimitName.FUTURES_ORDERS_10S.value
FUTURES_ORDERS_1M = LimitName.FUTURES_ORDERS_1M.value

_SECOND_MS, _MINUTE_MS, _DAY_MS = 1_000, 60_000, 86_400_000

LIMITS: Mapping[Venue, tuple[BucketLimit, ...]] = {
    Venue.SPOT: (
        BucketLimit(SPOT_WEIGHT, 6_000, _MINUTE_MS, reported=True),
        BucketLimit(SPOT_RAW, 300_000, 5 * _MINUTE_MS, reported=False),
        BucketLimit(SPOT_ORDERS_10S, 50, 10 * _SECOND_MS, reported=True),
        BucketLimit(SPOT_ORDERS_1D, 160_000, _DAY_MS, reported=True),
        BucketLimit(SAPI_IP, 12_000, _MINUTE_MS, reported=True),
        BucketLimit(SAPI_UID, 180_000, _MINUTE_MS, reported=True),
    ),
    Venue.PERP: (
        # `/fapi` and `/dapi` together since 2026-06-30.
        BucketLimit(FUTURES_WEIGHT, 2_400, _MINUTE_MS, reported=True),
        # `fundingRate` and `fundingInfo` together, whose weight is 0.
        BucketLimit(FUTURES_FUNDING, 500, 5 * _MINUTE_MS, reported=False),
        BucketLimit(FUTURES_ORDERS_10S, 300, 10 * _SECOND_MS, reported=True),
        BucketLimit(FUTURES_ORDERS_1M, 1_200, _MINUTE_MS, reported=True),
    ),
}

_REPORTS: Mapping[Venue, Mapping[str, str]] = {
    Venue.SPOT: {
        "X-MBX-USED-WEIGHT-1M": SPOT_WEIGHT,
        "X-MBX-ORDER-COUNT-10S": SPOT_ORDERS_10S,
        "X-MBX-ORDER-COUNT-1D": SPOT_ORDERS_1D,
        "X-SAPI-USED-IP-WEIGHT-1M": SAPI_IP,
        "X-SAPI-USED-UID-WEIGHT-1M": SAPI_UID,
    },
    Venue.PERP: {
        "X-MBX-USED-WEIGHT-1M": FUTURES_WEIGHT,
        "X-MBX-ORDER-COUNT-10S": FUTURES_ORDERS_10S,
        "X-MBX-ORDER-COUNT-1M": FUTURES_ORDERS_1M,
    },
}

_BUCKET_BY_RATE_LIMIT = {
    (Venue.SPOT, "REQUEST_WEIGHT"): SPOT_WEIGHT,
    (Venue.SPOT, "RAW_REQUESTS"): SPOT_RAW,
    (Venue.PERP, "REQUEST_WEIGHT"): FUTURES_WEIGHT,
}
_INTERVAL_MS = {"SECOND": _SECOND_MS, "MINUTE": _MINUTE_MS, "DAY": _DAY_MS}
_ORDER_BUCKETS = {
    (Venue.SPOT, 10 * _SECOND_MS): SPOT_ORDERS_10S,
    (Venue.SPOT, _DAY_MS): SPOT_ORDERS_1D,
    (Venue.PERP, 10 * _SECOND_MS): FUTURES_ORDERS_10S,
    (Venue.PERP, _MINUTE_MS): FUTURES_ORDERS_1M,
}
_WINDOW_MS = {limit.name: limit.window_ms for limits in LIMITS.values() for limit in limits}

_VENUE_OF = {limit.name: venue for venue, limits in LIMITS.items() for limit in limits}

_COUNT = re.compile(r"[0-9]{1,9}")


def venue_of(name: LimitName) -> Venue:
    """On whose host it is counted."""
    return _VENUE_OF[name]


def spot_weight(weight: int) -> tuple[Charge, ...]:
    """Of a request below `/api`."""
    return (Charge(SPOT_WEIGHT, weight), Charge(SPOT_RAW, 1))


def sapi_ip_weight(weight: int) -> tuple[Charge, ...]:
    """Of a request below `/sapi` that counts for the address."""
    return (Charge(SAPI_IP, weight),)


def sapi_uid_weight(weight: int) -> tuple[Charge, ...]:
    """Of a request below `/sapi` that counts for the account."""
    return (Charge(SAPI_UID, weight),)


def futures_weight(weight: int) -> tuple[Charge, ...]:
    """Of a request below `/fapi` or `/dapi`."""
    return (Charge(FUTURES_WEIGHT, weight),)


def funding_request() -> tuple[Charge, ...]:
    """Of `GET /fapi/v1/fundingRate` or `/fapi/v1/fundingInfo`."""
    return (Charge(FUTURES_FUNDING, 1),)


def spot_order() -> tuple[Charge, ...]:
    return (*spot_weight(1), Charge(SPOT_ORDERS_10S, 1), Charge(SPOT_ORDERS_1D, 1))


def futures_order() -> tuple[Charge, ...]:
    """An order adds to the counts of orders only."""
    return (Charge(FUTURES_ORDERS_10S, 1), Charge(FUTURES_ORDERS_1M, 1))


def read_reports(venue: Venue, headers: Mapping[str, str]) -> dict[str, UsedReport]:
    """What the headers of a reply say is used; they must ignore case, like httpx2's."""
    at_ms = http_date_ms(headers.get("Date", ""))
    return {
        bucket: UsedReport(int(text), at_ms)
        for name, bucket in _REPORTS[venue].items()
        if _COUNT.fullmatch(text := headers.get(name, ""))
    }


class _RateLimit(Struct):
    rateLimitType: str  # noqa: N815 (Binance's name)
    interval: str
    intervalNum: int  # noqa: N815 (Binance's name)
    limit: int


def read_rate_limits(venue: Venue, rows: Iterable[msgspec.Raw]) -> Iterator[tuple[str, int]]:
    """Bucket and limit of each row of `exchangeInfo.rateLimits` that is about one of ours."""
    for row in rows:
        try:
            rate = msgspec.json.decode(row, type=_RateLimit, strict=False)
        except msgspec.DecodeError:
            continue
        window_ms = _INTERVAL_MS.get(rate.interval, 0) * rate.intervalNum
        name = (
            _ORDER_BUCKETS.get((venue, window_ms))
            if rate.rateLimitType == "ORDERS"
            else _BUCKET_BY_RATE_LIMIT.get((venue, rate.rateLimitType))
        )
        if name is not None and _WINDOW_MS[name] == window_ms and rate.limit > 0:
            yield name, rate.limit
