"""Downloads files of the public archive, by the rule for all connections to the exchange.

They come from another host than the REST API and use none of its limits: no weight, no key.
"""

from types import TracebackType
from typing import Self
from urllib.parse import quote

import anyio
import httpx2

from chimera_s1.adapters.binance.archive.file_content import (
    CHECKSUM_BYTES_MAX,
    ZIP_BYTES_MAX,
    read_archive_file,
)
from chimera_s1.adapters.binance.archive.names import CHECKSUM_SUFFIX, ArchiveFileId
from chimera_s1.adapters.binance.egress import Egress, HostNotAllowedError
from chimera_s1.adapters.binance.http.error_text import error_text
from chimera_s1.domain.errors import (
    ArchiveDamagedError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.funding.archive_check import ArchiveMonth
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol

CONNECT_S = 10.0
TOTAL_S = 30.0


class ArchiveDownload:
    """Implements `domain.ports.funding_archive.FundingArchive`."""

    def __init__(self, base_url: str, egress: Egress) -> None:
        self._base_url = base_url
        self._egress = egress
        self._client = httpx2.AsyncClient(
            verify=httpx2.create_ssl_context(),  # honours SSL_CERT_FILE
            headers={"Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(TOTAL_S, connect=CONNECT_S),
            limits=httpx2.Limits(max_connections=1),
            follow_redirects=False,
            trust_env=False,
            proxy=egress.proxy_for_requests,
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

    async def read(self, symbol: Symbol, month: Month) -> ArchiveMonth | None:
        """See the port."""
        file = ArchiveFileId(symbol, month)
        url = f"{self._base_url}/{quote(file.path)}"
        content = await self._get(url, ZIP_BYTES_MAX)
        if content is None:
            return None
        checksum = await self._get(url + CHECKSUM_SUFFIX, CHECKSUM_BYTES_MAX)
        return read_archive_file(file, content, checksum)

    async def _get(self, url: str, bytes_max: int) -> bytes | None:
        """The body; None for 404."""
        try:
            self._egress.check(url)
            with anyio.fail_after(TOTAL_S):
                async with self._client.stream("GET", url) as reply:
                    body = await _bounded(reply, bytes_max)
        except HostNotAllowedError as error:
            raise ExchangeRefusedError(f"{url}: {error}") from error
        except TimeoutError as error:
            text = f"no complete reply within {TOTAL_S:g} s"
            raise ExchangeUnavailableError(f"{url}: {text}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            text = error_text(error, self._egress)
            raise ExchangeUnavailableError(f"{url}: no reply: {text}") from error
        if reply.status_code == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
            text = self._egress.proxy_failure("replied 407")
            raise ExchangeUnavailableError(f"{url}: {text}")
        return _content(url, reply.status_code, body, bytes_max)


def _content(url: str, status: int, body: bytes, bytes_max: int) -> bytes | None:
    if status == httpx2.codes.NOT_FOUND:
        return None
    if httpx2.codes.is_server_error(status) or status == httpx2.codes.TOO_MANY_REQUESTS:
        raise ExchangeUnavailableError(f"{url}: replied {status}; try again later")
    if status != httpx2.codes.OK:
        raise ExchangeRefusedError(f"{url}: replied {status}; is it the address of the archive?")
    if len(body) > bytes_max:
        raise ArchiveDamagedError(f"{url}: larger than {bytes_max} bytes")
    return body


async def _bounded(reply: httpx2.Response, bytes_max: int) -> bytes:
    """The body as it was sent; cut after the first byte too many."""
    body = bytearray()
    async for piece in reply.aiter_raw():
        body += piece
        if len(body) > bytes_max:
            break
    return bytes(body[: bytes_max + 1])
