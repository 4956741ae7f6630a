"""What both hosts need of an HTTP client, and of those who ask them."""

import ssl
from collections.abc import Callable
from typing import TypeAlias

import httpx2
from msgspec import Struct

ExchangeClock: TypeAlias = Callable[[], float]
"""The exchange's clock now, epoch ms: ours and the offset that the clock patrol has measured."""


class HttpTimeouts(Struct, frozen=True, kw_only=True):
    """How long a request may take, s.

    Attributes:
        connect_s: To a connection, DNS and TLS each included.

        total_s: From the call to the last byte of the reply; more than the 10 s after which
            Binance itself gives up (SPOT errors.md, -1007).
    """

    connect_s: float = 4.0
    total_s: float = 12.0

    def as_httpx(self) -> httpx2.Timeout:
        """For httpx2, which counts each read by itself."""
        return httpx2.Timeout(self.total_s, connect=self.connect_s)


def create_ssl_context() -> ssl.SSLContext:
    """To be made once: reading the certificates takes longer than a request. `SSL_CERT_FILE` is
    honoured, as by every other client here.
    """
    return httpx2.create_ssl_context()
