"""The bytes of a request that is sent once.

They are joined here, as h11 would write them: to build and check each of its events takes longer
than everything else between the stored intent and the wire. Nothing in them comes from outside: the
key is letters and digits, and the text is percent-encoded.
"""

from functools import lru_cache

import httpx2

from chimera_s1.adapters.binance.http.signed_request import BinanceSignedRequest, Method

_ENDPOINTS_MAX = 64


def request_bytes(rest_url: str, request: BinanceSignedRequest, text: bytes) -> bytes:
    """Head and body of *request*, whose signed text is *text*."""
    method = request.target.method
    host, path = _host_and_path(rest_url, request.target.path)
    target = f"{path}?{text.decode('ascii')}" if method is Method.DELETE else path
    lines = [f"{method.value} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.signer.headers().items()]
    if method is Method.POST:
        lines.append("Content-Type: application/x-www-form-urlencoded")
        lines.append(f"Content-Length: {len(text)}")
    lines.append("Accept-Encoding: identity\r\nConnection: close\r\n\r\n")
    head = "\r\n".join(lines).encode("ascii")
    return head + text if method is Method.POST else head


@lru_cache(maxsize=_ENDPOINTS_MAX)
def _host_and_path(rest_url: str, path: str) -> tuple[str, str]:
    url = httpx2.URL(rest_url + path)
    return url.netloc.decode("ascii"), url.raw_path.decode("ascii")
