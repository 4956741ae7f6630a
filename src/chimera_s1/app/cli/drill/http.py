"""Requests to the service and to the simulator, one connection each."""

import http.client
from urllib.parse import urlsplit

import anyio
from msgspec import Struct

REQUEST_TIMEOUT_S = 5.0
_ERROR = 400


class HttpRequestError(Exception):
    """There was no answer; the text says why."""


class HttpReply(Struct, frozen=True):
    """Status and body."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """It did what was asked."""
        return self.status < _ERROR


async def request(method: str, url: str, body: bytes | None = None) -> HttpReply:
    """The answer of *url*, an http one.

    Raises:
        Unanswered: There is none.
    """
    return await anyio.to_thread.run_sync(_request, method, url, body, abandon_on_cancel=True)


def _request(method: str, url: str, body: bytes | None) -> HttpReply:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=REQUEST_TIMEOUT_S
    )
    try:
        connection.request(method, address.path, body)
        response = connection.getresponse()
        return HttpReply(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise HttpRequestError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
