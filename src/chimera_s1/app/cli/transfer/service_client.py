"""Requests to a service's HTTP API with a bearer token, one connection each."""

import http.client
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import anyio
from msgspec import Struct

from chimera_s1.app.settings.settings import Settings
from chimera_s1.app.state_files import read_demo_state
from chimera_s1.domain.errors import ConfigurationError

REQUEST_TIMEOUT_S = 20.0
"""Longer than the service lets a transfer's answer wait."""

BODY_BYTES_MAX = 1_000_000
_RETRY_AFTER = "Retry-After"


class HttpRequestError(Exception):
    """There was no whole answer; the text says why. What was asked for may have been done."""


class HttpReply(Struct, frozen=True):
    """An answer.

    Attributes:
        retry_after_ms: How long the service wants to be left alone; 0 where it does not say.
    """

    status: int
    body: bytes
    retry_after_ms: int = 0


class SendRequest(Protocol):
    """What carries a request to a service."""

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> HttpReply:
        """The answer.

        Args:
            method: GET or POST.

            path: Of the API, percent-encoded.

            body: JSON.

            key: Idempotency-Key; empty sends none.

        Raises:
            Unanswered: There is none.
        """
        ...


class ServiceClient(Struct, frozen=True):
    """Where a service is, and what opens it."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"ServiceAccess(url={self.url!r}, token=***)"

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> HttpReply:
        """Implements `SendRequest`."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        return await anyio.to_thread.run_sync(
            _request, self.url, method, path, body, headers, abandon_on_cancel=True
        )


def find_service(
    named: str | None, environ: Mapping[str, str], settings: Settings
) -> ServiceClient:
    """The service at *named*, else at S1_URL, else the demo that runs in the state directory.

    Raises:
        ConfigurationError: There is none, its address is none, or there is no token for it.
    """
    url, token = named or environ.get("S1_URL", ""), environ.get("S1_TOKEN", "").strip()
    if not url or not token:
        demo = read_demo_state(settings.state_dir)
        if demo is None and not url:
            raise ConfigurationError(
                f"which service? set S1_URL and S1_TOKEN, or name one with --url; no demo runs in "
                f"{settings.state_dir}"
            )
        if demo is not None:
            url = url or demo.url
            # A demo's token is for that demo alone.
            token = token or (demo.token if _base(url) == _base(demo.url) else "")
    if not token:
        raise ConfigurationError(
            f"no token for {_base(url)}: set S1_TOKEN to one with the scope treasury:transfer, "
            "chimera-s1 tokens create makes it"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError("S1_TOKEN is no token: it has characters that no token has")
    return ServiceClient(_base(url), token)


def _base(url: str) -> str:
    address = _address(url)
    return f"{address.scheme}://{address.netloc}{address.path.rstrip('/')}"


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url.strip())
        fits = (
            address.scheme in {"http", "https"} and address.hostname and "@" not in address.netloc
        )
        if fits and not address.query and not address.fragment and address.port != 0:
            return address
    except ValueError:
        pass
    raise ConfigurationError("the service's address is http://host:port or https://host")


def _request(
    url: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> HttpReply:
    address = _address(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[address.scheme](
        str(address.hostname), address.port, timeout=REQUEST_TIMEOUT_S
    )
    try:
        connection.request(method, address.path + path, body, dict(headers))
        response = connection.getresponse()
        text = response.getheader(_RETRY_AFTER, "")
        wait_ms = int(text) * 1000 if text.isascii() and text.isdigit() else 0
        return HttpReply(response.status, response.read(BODY_BYTES_MAX), wait_ms)
    except (OSError, http.client.HTTPException) as error:
        raise HttpRequestError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
