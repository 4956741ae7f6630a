"""The futures' listen key: opened for each dial, kept alive in between.

Source: USD-M "Start / Keepalive User Data Stream": valid for 60 minutes; POST returns the valid
key and extends it. The key is the account's, so this process never closes it: other programs of
the account may use it.
"""

from collections.abc import Callable
from math import inf
from typing import NoReturn, Protocol
from urllib.parse import quote

import anyio
from msgspec import Struct

from chimera_s1.adapters.binance.account_key import KeySource
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.listen_key import ListenKeyMethod
from chimera_s1.adapters.binance.http.request_limits import futures_weight
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.clock import Clock

VALIDITY_MS = 60 * 60_000
KEEP_ALIVE_MS = 30 * 60_000
RETRY = Backoff(base_ms=5_000, max_wait_ms=60_000, jitter_ms=0)

_CALL = RequestCall("account_stream", Priority.MONEY, futures_weight(1))


class ListenKeyRequests(Protocol):
    """Both return the account's key; they raise `ChimeraError`, and `ExchangeRefusedError` where
    the exchange has said no.
    """

    async def open(self) -> str:
        """The valid key, extended, or a new one."""
        ...

    async def extend(self) -> str: ...


class _Reply(Struct):
    listenKey: str = ""  # noqa: N815 (Binance's name)


class BinanceListenKeyRequests:
    """Implements `ListenKeyRequests`."""

    def __init__(self, client: HttpClient, key: KeySource) -> None:
        self._client = client
        self._key = key

    async def open(self) -> str:
        return await self._call(ListenKeyMethod.POST)

    async def extend(self) -> str:
        return await self._call(ListenKeyMethod.PUT)

    async def _call(self, method: ListenKeyMethod) -> str:
        key = await self._key()
        if key is None:
            raise ConfigurationError("no exchange key: set S1_BINANCE_KEY and S1_BINANCE_SECRET")
        signer = key.signer_for(Venue.PERP)
        reply = await self._client.call_listen_key(method, _Reply, call=_CALL, signer=signer)
        if not reply.listenKey:
            raise ExchangeUnavailableError(f"{method} listenKey: the reply has no key")
        # It becomes part of a URL.
        return quote(reply.listenKey, safe="")


class ListenKey:
    """Keeps one key valid.

    Attributes:
        problem: Why it could not be extended; empty if it could.
    """

    def __init__(
        self, requests: ListenKeyRequests, clock: Clock, keep_alive_ms: int = KEEP_ALIVE_MS
    ) -> None:
        self.problem = ""
        self._requests = requests
        self._clock = clock
        self._keep_alive_ms = keep_alive_ms
        self._key = ""
        self._extended_ms = -inf
        self._opened = anyio.Event()

    async def open(self) -> str:
        """A valid key; raises as `ListenKeyRequests`."""
        asked_ms = self._clock.monotonic_ms()
        key = await self._requests.open()
        self._keep(key, asked_ms)
        return key

    def is_current(self, key: str) -> bool:
        return key == self._key

    async def keep_alive(self, on_lost: Callable[[str], None]) -> NoReturn:
        """Extend the key until cancelled; *on_lost* hears that another one is needed."""
        failures = 0
        while True:
            await self._wait_until_due(failures)
            try:
                lost = await self._extend()
            except ChimeraError as error:
                failures += 1
                self.problem = f"the listenKey was not extended: {error}"
                lost = self.problem if self._has_expired() else ""
            else:
                failures = 0
            if lost:
                self._forget()
                failures = 0
                on_lost(lost)

    async def _wait_until_due(self, failures: int) -> None:
        await self._opened.wait()
        if failures:
            await self._clock.sleep_ms(RETRY.wait_ms(failures - 1, 0))
            return
        # A dial in between extends the key, too.
        while (wait_ms := self._extended_ms + self._keep_alive_ms - self._now_ms()) > 0:
            await self._clock.sleep_ms(wait_ms)

    async def _extend(self) -> str:
        """Why the stream needs another key; empty if this one is extended."""
        before, asked_ms = self._key, self._now_ms()
        try:
            key = await self._requests.extend()
        except ExchangeRefusedError:
            # It may have expired; POST gives the valid one, or a new one.
            key = await self._requests.open()
        self._keep(key, asked_ms)
        return "" if key == before else "the exchange has another listenKey now"

    def _keep(self, key: str, asked_ms: float) -> None:
        self._key, self._extended_ms, self.problem = key, asked_ms, ""
        self._opened.set()

    def _forget(self) -> None:
        """Wait for the next dial, which opens one."""
        self._key, self._opened = "", anyio.Event()

    def _has_expired(self) -> bool:
        return self._now_ms() >= self._extended_ms + VALIDITY_MS

    def _now_ms(self) -> float:
        return self._clock.monotonic_ms()
