"""Requests over HTTP: bounded in time and size, without proxies, redirects and retries."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from chimera_s1_client.errors import InvalidArgumentError, NoReplyError

BODY_BYTES_MAX = 64_000_000
TIMEOUT_S = 20.0
"""Longer than the service holds back the reply to a transfer."""

_ERROR_STATUS = 400
_RETRY_AFTER_DIGITS_MAX = 9


class HttpReply(Struct, frozen=True):
    """Attributes: retry_after_ms: From the `Retry-After` header; 0 without one."""

    status: int
    body: bytes
    retry_after_ms: int = 0

    @property
    def ok(self) -> bool:
        return self.status < _ERROR_STATUS


def parse_base_url(text: str) -> str:
    """An `http` or `https` URL without its trailing slash.

    Raises:
        InvalidArgumentError: It is something else, or has a user, a query or a fragment.
    """
    try:
        url = urlsplit(text.strip())
        valid = url.scheme in {"http", "https"} and url.hostname and "@" not in url.netloc
        if valid and not url.query and not url.fragment and url.port != 0:
            return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
    except ValueError:
        pass
    raise InvalidArgumentError("not of the form http://host:port or https://host")


class HttpSession:
    """Connections to one server.

    Args:
        url: Of the server, without a path of its own.
        token: Sent as a bearer token with each request; empty for none. It is in no error or repr.

    Raises:
        InvalidArgumentError: The URL or the token is malformed.
    """

    def __init__(self, url: str, token: str = "", *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = parse_base_url(url)
        self._timeout_s = timeout_s
        headers = {"Accept": "application/json"}
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise InvalidArgumentError("the token is malformed: printable ASCII without spaces")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx2.AsyncClient(headers=headers, timeout=timeout_s, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def send(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> HttpReply:
        """Send one request, once; *key* is the `Idempotency-Key`, empty for none.

        Raises:
            NoReplyError: No complete reply arrived.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["Idempotency-Key"] = key
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(method, self.url + path, body, headers)
        except TimeoutError as error:
            text = f"no reply from {self.url} within {self._timeout_s:g} s"
            raise NoReplyError(text) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            cause = str(error) or type(error).__name__
            raise NoReplyError(f"no reply from {self.url} ({cause})") from error

    async def _exchange(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str]
    ) -> HttpReply:
        async with self._http.stream(method, url, content=body, headers=headers) as response:
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > BODY_BYTES_MAX:
                    raise NoReplyError(f"the reply of {self.url} exceeds {BODY_BYTES_MAX} bytes")
            wait = response.headers.get("Retry-After", "")[:_RETRY_AFTER_DIGITS_MAX]
            wait_ms = int(wait) * 1000 if wait.isascii() and wait.isdigit() else 0
            return HttpReply(response.status_code, bytes(received), wait_ms)
