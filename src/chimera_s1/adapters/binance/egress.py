"""How connections to the exchange leave this machine: one rule for REST and sockets.

Proxy variables of the environment are ignored. All connections go through the configured proxy, or
directly; hosts that are not allowed are refused before a socket opens.
"""

from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import MASK
from chimera_s1.domain.errors import InvalidValueError


class HostNotAllowedError(Exception):
    """The text names the host and the setting."""


class Egress(Struct, frozen=True):
    """Attributes:
    proxy: `http://[user:password@]host:port`; empty without one.

    allowed_hosts: Lower case names; empty allows every host.
    """

    proxy: str = ""
    allowed_hosts: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Egress(proxy={self.shown_proxy!r}, allowed_hosts={sorted(self.allowed_hosts)})"

    @property
    def shown_proxy(self) -> str:
        """The proxy without its user and password."""
        parts = urlsplit(self.proxy)
        credentials, at, host = parts.netloc.rpartition("@")
        return f"{parts.scheme}://{MASK if credentials else ''}{at}{host}" if self.proxy else ""

    @property
    def proxy_for_sockets(self) -> str | None:
        """As picows takes it."""
        return self.proxy or None

    @property
    def proxy_for_requests(self) -> httpx2.Proxy | None:
        """As httpx2 takes it."""
        return httpx2.Proxy(self.proxy) if self.proxy else None

    def check(self, url: str) -> None:
        """Raises:
        HostNotAllowedError: The host of *url* is not on the list.
        """
        if not self.allowed_hosts:
            return
        try:
            host = (urlsplit(url).hostname or "").lower()
        except ValueError:
            host = ""
        if host not in self.allowed_hosts:
            raise HostNotAllowedError(
                f"{host or 'a URL without a host'} is not in S1_EGRESS_ALLOW, so no connection "
                "is made: add it, or correct the URL"
            )

    def proxy_failure(self, text: str) -> str:
        """*text* of an error that the proxy, not the exchange, has caused."""
        name = f"{self.shown_proxy} (S1_EGRESS_PROXY)" if self.proxy else "of the network"
        return f"proxy {name}: {text}"


DIRECT = Egress()


def parse_proxy(text: str) -> str:
    """Read `http://[user:password@]host:port`.

    Raises:
        InvalidValueError: It is something else; the text does not quote it.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidValueError("not a URL of the form http://[user:password@]host:port") from error
    if parts.scheme != "http":
        raise InvalidValueError("only http:// proxies are supported, which tunnel TLS")
    if not host or not port or parts.path.strip("/") or parts.query or parts.fragment:
        raise InvalidValueError("not of the form http://[user:password@]host:port")
    if bool(parts.username) != bool(parts.password):
        raise InvalidValueError("a user and a password go together")
    return f"http://{parts.netloc}"
