"""HTTP requests to the service and to the simulator, one connection each."""

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

import anyio
from msgspec import Struct

from chimera_s1.domain.errors import ConfigurationError

BODY_BYTES_MAX = 64_000_000
_ERROR_STATUS = 400


class HttpRequestError(Exception):
    """No complete reply arrived. The server may have carried out the request all the same."""


class HttpReply(Struct, frozen=True):
    """Attributes: retry_after_ms: From the `Retry-After` header; 0 without one."""

    status: int
    body: bytes
    retry_after_ms: int = 0

    @property
    def ok(self) -> bool:
        return self.status < _ERROR_STATUS


def parse_base_url(text: str, label: str) -> str:
    """An `http` or `https` URL without its trailing slash.

    Raises:
        ConfigurationError: It is something else. The text names *label* and not the URL, which may
            hold a password.
    """
    try:
        url = urlsplit(text.strip())
        valid = url.scheme in {"http", "https"} and url.hostname and "@" not in url.netloc
        if valid and not url.query and not url.fragment and url.port != 0:
            return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
    except ValueError:
        pass
    raise ConfigurationError(f"{label} is not of the form http://host:port or https://host")


async def send_request(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float = 5.0,
) -> HttpReply:
    """Send one request; *url* comes from `parse_base_url`.

    Raises:
        HttpRequestError: No complete reply arrived.
    """
    return await anyio.to_thread.run_sync(
        _send, method, url, body, dict(headers or {}), timeout_s, abandon_on_cancel=True
    )


def _send(
    method: str, url: str, body: bytes | None, headers: dict[str, str], timeout_s: float
) -> HttpReply:
    address = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[address.scheme](str(address.hostname), address.port, timeout=timeout_s)
    try:
        connection.request(method, address.path, body, headers)
        response = connection.getresponse()
        wait = response.getheader("Retry-After", "")
        wait_ms = int(wait) * 1000 if wait.isascii() and wait.isdigit() else 0
        return HttpReply(response.status, response.read(BODY_BYTES_MAX), wait_ms)
    except (OSError, http.client.HTTPException) as error:
        raise HttpRequestError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
