"""An adapter with an HTTP client of its own."""

from types import TracebackType
from typing import Self

from chimera_s1.adapters.binance.http.client import HttpClient


class HttpAdapter:
    """Leaving it closes its client."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)
