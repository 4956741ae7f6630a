"""Signed requests: whose they are, how old they are, and whether a byte was changed on the way.

Binance, "Request security": the signature is the HMAC-SHA256 of the query string immediately
followed by the body, both as they were sent, the signature itself left out.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from msgspec import Struct

from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.replies import BinanceError
from chimera_s1.adapters.simulator.rest.signed_parameters import integer, required

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MAX_MS = 60_000
AHEAD_MS = 1_000
_TIME_MAX_MS = 10**16
_KEY_FORM = re.compile(r"[A-Za-z0-9]{1,128}")
_ENCODED = re.compile(rb"[A-Za-z0-9._~!'()*+%=&-]*")
_SIGNATURE = b"signature="


class RawRequest(Struct, frozen=True):
    """What came in.

    Attributes:
        api_key: Header `X-MBX-APIKEY`; empty without it.
        query: After the question mark, not decoded.
        arrived_ms: Exchange time.
    """

    api_key: str
    query: bytes
    body: bytes
    arrived_ms: int


class SignedRequest(Struct, frozen=True):
    """A request whose signature is good.

    Attributes:
        parameters: Decoded. What is in query and body, counts as in the query.
    """

    parameters: Mapping[str, str]
    timestamp_ms: int
    recv_window_ms: int

    def check_time(self, now_ms: int) -> None:
        """Whether it may be executed at *now_ms*.

        Raises:
            BinanceError: -1021, it is too old or from the future.
        """
        if self.timestamp_ms >= now_ms + AHEAD_MS:
            raise BinanceError(
                -1021, "Timestamp for this request was 1000ms ahead of the server's time."
            )
        if now_ms - self.timestamp_ms > self.recv_window_ms:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")


def signature_of(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 of *payload*, in hex."""
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def verify(sent: RawRequest, api_key: ApiKey) -> SignedRequest:
    """Read *sent*, which *api_key* must have signed shortly before it arrived.

    Raises:
        BinanceError: -2014, -2015, -1102, -1100, -1131, -1022 or -1021, in this order.
    """
    if _KEY_FORM.fullmatch(sent.api_key) is None:
        raise BinanceError(-2014, "API-key format invalid.", HTTPStatus.UNAUTHORIZED)
    if not hmac.compare_digest(sent.api_key, api_key.key):
        raise permission_denied()
    parameters = _parsed(sent.body) | _parsed(sent.query)
    timestamp_ms = int(required(parameters, "timestamp", r"[0-9]{1,16}"))
    recv_window_ms = integer(parameters, "recvWindow", RECV_WINDOW_MS, highest=_TIME_MAX_MS)
    if recv_window_ms > RECV_WINDOW_MAX_MS:
        raise BinanceError(-1131, "recvWindow must be less than 60000")
    signed = SignedRequest(parameters, timestamp_ms, recv_window_ms)
    given = required(parameters, "signature", r".*")
    payload = _payload(sent.query, sent.body)
    if payload is None or not hmac.compare_digest(
        given.lower().encode(), signature_of(api_key.secret, payload).encode()
    ):
        raise BinanceError(-1022, "Signature for this request is not valid.")
    signed.check_time(sent.arrived_ms)
    return signed


def permission_denied() -> BinanceError:
    """The key is unknown, or may not do this."""
    message = "Invalid API-key, IP, or permissions for action."
    return BinanceError(-2015, message, HTTPStatus.UNAUTHORIZED)


def _parsed(text: bytes) -> dict[str, str]:
    return dict(parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True))


def _payload(query: bytes, body: bytes) -> bytes | None:
    """The bytes that were signed; None where they cannot be told, or are not percent-encoded."""
    rest, signatures = b"", 0
    for part in (query, body):
        left, _, last = part.rpartition(b"&")
        signed_here = last.startswith(_SIGNATURE)
        rest += left if signed_here else part
        signatures += signed_here
    elsewhere = any(each.startswith(_SIGNATURE) for each in rest.split(b"&"))
    if signatures != 1 or elsewhere or _ENCODED.fullmatch(rest) is None:
        return None
    return rest
