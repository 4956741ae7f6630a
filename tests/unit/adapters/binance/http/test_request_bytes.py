"""The bytes of a request that is sent once, read by another implementation of HTTP."""

import h11
import pytest

from chimera_s1.adapters.binance.http.request_bytes import request_bytes
from chimera_s1.adapters.binance.http.request_limits import spot_weight
from chimera_s1.adapters.binance.http.signed_request import (
    BinanceSignedRequest,
    Method,
    RequestTarget,
)
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall

CALL = RequestCall("test", Priority.MONEY, spot_weight(1))
SIGNER = Signer(Credentials(Secret("key"), Secret("secret")), lambda: 1.0)
TEXT = b"symbol=BTCUSDT&text=%E8%B3%87&signature=ab"


def sent(url: str, method: Method) -> tuple[h11.Request, bytes]:
    """The only request in the bytes."""
    target = RequestTarget(method, "/api/v3/order", CALL)
    request = BinanceSignedRequest(target, [("symbol", "BTCUSDT")], SIGNER)
    server = h11.Connection(h11.SERVER)
    server.receive_data(request_bytes(url, request, TEXT))
    head, body = server.next_event(), b""
    while isinstance(event := server.next_event(), h11.Data):
        body += event.data
    assert isinstance(head, h11.Request)
    assert isinstance(event, h11.EndOfMessage)
    assert server.trailing_data == (b"", False)
    return head, body


def test_a_post_has_the_signed_text_as_its_body() -> None:
    head, body = sent("https://api.example.com", Method.POST)

    assert (head.method, head.target, body) == (b"POST", b"/api/v3/order", TEXT)
    assert dict(head.headers) == {
        b"host": b"api.example.com",
        b"x-mbx-apikey": b"key",
        b"content-type": b"application/x-www-form-urlencoded",
        b"content-length": str(len(TEXT)).encode(),
        b"accept-encoding": b"identity",
        b"connection": b"close",
    }


def test_a_delete_has_the_signed_text_as_its_query() -> None:
    head, body = sent("https://api.example.com", Method.DELETE)

    assert (head.method, head.target, body) == (b"DELETE", b"/api/v3/order?" + TEXT, b"")
    assert dict(head.headers) == {
        b"host": b"api.example.com",
        b"x-mbx-apikey": b"key",
        b"accept-encoding": b"identity",
        b"connection": b"close",
    }


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://127.0.0.1:4001", b"127.0.0.1:4001", b"/api/v3/order"),
        ("http://[::1]:4001/prefix", b"[::1]:4001", b"/prefix/api/v3/order"),
        ("https://b\u00fccher.example", b"xn--bcher-kva.example", b"/api/v3/order"),
    ],
)
def test_host_and_path_are_those_of_the_url(url: str, host: bytes, target: bytes) -> None:
    head, _ = sent(url, Method.POST)

    assert (dict(head.headers)[b"host"], head.target) == (host, target)
