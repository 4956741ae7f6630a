"""Reads `GET {S1_S10_URL}/active`.

S10 is not the exchange: `S1_EGRESS_PROXY` and `S1_EGRESS_ALLOW` are about other connections.
Proxy variables of the environment are ignored here, too.
"""

from types import TracebackType
from typing import Self

import anyio
import httpx2
from msgspec import Struct

from chimera_s1.adapters.s10.active_document import read_document
from chimera_s1.domain.errors import ConfigurationUnavailableError
from chimera_s1.domain.operations.active_configuration import SnapshotDraft
from chimera_s1.domain.printable import escape_unprintable

PATH = "/active"
BODY_BYTES_MAX = 8 * 1024 * 1024
"""Decompressed; 10,000 instruments take less than 2 MB."""

_WORDS_CHARS_MAX = 200


class ActiveTimeouts(Struct, frozen=True, kw_only=True):
    """How long one request may take, s; *total_s* to the last byte of the reply."""

    connect_s: float = 2.0
    total_s: float = 5.0


class HttpConfigurationSource:
    """Implements `domain.ports.configuration_source.ConfigurationSource`."""

    def __init__(self, base_url: str, timeouts: ActiveTimeouts = ActiveTimeouts()) -> None:  # noqa: B008 (frozen)
        self._url = base_url + PATH
        self._timeouts = timeouts
        self._last_body = b""
        self._last_draft: SnapshotDraft | None = None
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeouts.total_s, connect=timeouts.connect_s),
            # S10 may have closed a connection that idled between two requests.
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def read(self) -> SnapshotDraft:
        """See the port. A body that has not changed gives the same draft as before."""
        status, body = await self._fetch()
        if status != httpx2.codes.OK:
            raise ConfigurationUnavailableError(f"GET {self._url} replied {status}{_words(body)}")
        if len(body) > BODY_BYTES_MAX:
            raise ConfigurationUnavailableError(
                f"GET {self._url} replied more than {BODY_BYTES_MAX} bytes"
            )
        if self._last_draft is None or body != self._last_body:
            self._last_body, self._last_draft = body, read_document(body)
        return self._last_draft

    async def _fetch(self) -> tuple[int, bytes]:
        try:
            with anyio.fail_after(self._timeouts.total_s):
                async with self._client.stream("GET", self._url) as reply:
                    return reply.status_code, await _bounded(reply)
        except TimeoutError as error:
            text = f"no complete reply within {self._timeouts.total_s:g} s"
            raise ConfigurationUnavailableError(f"GET {self._url}: {text}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            text = escape_unprintable(str(error)) or type(error).__name__
            raise ConfigurationUnavailableError(f"GET {self._url}: {text}") from error


async def _bounded(reply: httpx2.Response) -> bytes:
    """The body; cut after the first byte too many."""
    body = bytearray()
    async for piece in reply.aiter_bytes():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            return bytes(body[: BODY_BYTES_MAX + 1])
    return bytes(body)


def _words(body: bytes) -> str:
    words = " ".join(body[: 4 * _WORDS_CHARS_MAX].decode(errors="replace").split())
    return f": {escape_unprintable(words[:_WORDS_CHARS_MAX])}" if words else ""
