"""Verifies signed requests: key, signature and time.

Binance, "Request security": the signature is the HMAC-SHA256 of the query string immediately
followed by the body, both as sent, without the signature itself.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from urllib.parse import parse_qsl

from msgspec import Struct

from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.parameters import required
from chimera_s1.adapters.simulator.rest.replies import BinanceError

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MS = 1_000
_WHOLE, _DECIMAL = r"[0-9]{1,16}", r"[0-9]{1,16}(\.[0-9]{1,3})?"
_MICROSECONDS_FROM = 10**15
"""As milliseconds, the year 33658."""

_KEY_FORM = re.compile(r"[A-Za-z0-9]{1,128}")
_PERCENT_ENCODED = re.compile(rb"[A-Za-z0-9._~!'()*+%=&-]*")
_SIGNATURE = b"signature="


class RawRequest(Struct, frozen=True):
    """A request as it was sent.

    Attributes:
        api_key: Header `X-MBX-APIKEY`; empty without it.
        query: After the question mark, not decoded.
        arrived_ms: Exchange time.
        microseconds_allowed: The timestamp may be in microseconds, and recvWindow have three
            decimals, as under `/api`.
    """

    api_key: str
    query: bytes
    body: bytes
    arrived_ms: int
    microseconds_allowed: bool = False


class SignedRequest(Struct, frozen=True):
    """A request with a valid signature.

    Attributes:
        parameters: Decoded; the query overrides the body.
    """

    parameters: Mapping[str, str]
    timestamp_ms: int
    recv_window_ms: int

    def check_time(self, now_ms: int) -> None:
        """Raises BinanceError -1021 if the request is too old or from the future at *now_ms*."""
        if self.timestamp_ms >= now_ms + AHEAD_MS:
            raise BinanceError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if now_ms - self.timestamp_ms > self.recv_window_ms:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")


def signature_of(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 of *payload*, in hex."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def verify(raw: RawRequest, api_key: ApiKey) -> SignedRequest:
    """Parse *raw*, signed with *api_key* shortly before it arrived.

    Raises:
        BinanceError: -2014, -2015, -1102, -1100, -1131, -1022 or -1021, in this order.
    """
    check_key(raw.api_key, api_key)
    parameters = _parsed(raw.body) | _parsed(raw.query)
    timestamp_ms = int(required(parameters, "timestamp", r"[0-9]{1,16}"))
    if raw.microseconds_allowed and timestamp_ms >= _MICROSECONDS_FROM:
        timestamp_ms //= 1000
    recv_window_ms = _recv_window(parameters, _DECIMAL if raw.microseconds_allowed else _WHOLE)
    signature = required(parameters, "signature", r".*")
    _check_signature(signature, _signed_bytes(raw.query, raw.body), api_key)
    signed = SignedRequest(parameters, timestamp_ms, recv_window_ms)
    signed.check_time(raw.arrived_ms)
    return signed


def _recv_window(parameters: Mapping[str, str], form: str) -> int:
    """In milliseconds, rounded up: clocks here do not know parts of one."""
    if "recvWindow" not in parameters:
        return RECV_WINDOW_MS
    recv_window_ms = math.ceil(Decimal(required(parameters, "recvWindow", form)))
    if recv_window_ms > RECV_WINDOW_MAX_MS:
        raise BinanceError(-1131, "recvWindow must be less than 60000")
    return recv_window_ms


def permission_denied() -> BinanceError:
    """The key is unknown, or lacks the permission."""
    message = "Invalid API-key, IP, or permissions for action."
    return BinanceError(-2015, message, HTTPStatus.UNAUTHORIZED)


def check_key(sent: str, api_key: ApiKey) -> None:
    """Raises BinanceError -2014 if *sent* is no key, -2015 if it is another than *api_key*."""
    if _KEY_FORM.fullmatch(sent) is None:
        raise BinanceError(-2014, "API-key format invalid.", HTTPStatus.UNAUTHORIZED)
    if not hmac.compare_digest(sent, api_key.key):
        raise permission_denied()


def _check_signature(signature: str, payload: bytes | None, api_key: ApiKey) -> None:
    if payload is None or not hmac.compare_digest(
        signature.lower().encode(), signature_of(api_key.secret, payload).encode()
    ):
        raise BinanceError(-1022, "Signature for this request is not valid.")


def _parsed(text: bytes) -> dict[str, str]:
    return dict(parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True))


def _signed_bytes(query: bytes, body: bytes) -> bytes | None:
    """Query and body without the signature; None unless one signature ends one of them.

    Also None for bytes that are not percent-encoded.
    """
    rest, signatures = b"", 0
    for part in (query, body):
        left, _, last = part.rpartition(b"&")
        signed_here = last.startswith(_SIGNATURE)
        rest += left if signed_here else part
        signatures += signed_here
    elsewhere = any(each.startswith(_SIGNATURE) for each in rest.split(b"&"))
    if signatures != 1 or elsewhere or _PERCENT_ENCODED.fullmatch(rest) is None:
        return None
    return rest
