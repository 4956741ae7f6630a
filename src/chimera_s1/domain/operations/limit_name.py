"""The limits of requests that an exchange counts; settings and metrics name them so."""

from enum import StrEnum


class LimitName(StrEnum):
    """`weight` is of all requests, `raw` their number; `sapi` is the wallet's API."""

    SPOT_WEIGHT = "spot.weight"
    SPOT_RAW = "spot.raw"
    SPOT_ORDERS_10S = "spot.orders.10s"
    SPOT_ORDERS_1D = "spot.orders.1d"
    SAPI_IP = "sapi.ip"
    SAPI_UID = "sapi.uid"
    FUTURES_WEIGHT = "futures.weight"
    FUTURES_FUNDING = "futures.funding"
    FUTURES_ORDERS_10S = "futures.orders.10s"
    FUTURES_ORDERS_1M = "futures.orders.1m"
