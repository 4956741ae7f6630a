"""Checks signature, time and permissions of a request before it is executed."""

from collections.abc import Mapping

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.request_faults import executes_late
from chimera_s1.adapters.simulator.rest.rest_server import request_arrived_ms
from chimera_s1.adapters.simulator.rest.signing import (
    RawRequest,
    check_key,
    permission_denied,
    verify,
)

_KEY_HEADER = "X-MBX-APIKEY"


class Authenticator:
    """For one account with one API key."""

    def __init__(self, api_key: ApiKey, account: Account, clock: ScaledClock) -> None:
        self._api_key = api_key
        self._account = account
        self._clock = clock

    async def authenticate_reader(self, request: web.Request) -> Mapping[str, str]:
        """As `authenticate`, for a key with permission to read, and for futures if it is theirs.

        Raises:
            BinanceError: The request is refused.
        """
        parameters = await self.authenticate(request)
        permissions = self._account.permissions
        futures = request.path.startswith("/fapi/")
        if not permissions.reading or (futures and not permissions.futures):
            raise permission_denied()
        return parameters

    async def authenticate_trader(self, request: web.Request) -> Mapping[str, str]:
        """As `authenticate`, for a key with permission to trade on spot.

        Raises:
            BinanceError: The request is refused.
        """
        parameters = await self.authenticate(request)
        if not self._account.permissions.spot_trading:
            raise permission_denied()
        return parameters

    async def authenticate_futures_trader(self, request: web.Request) -> Mapping[str, str]:
        """As `authenticate`, for a key with permission for futures.

        Raises:
            BinanceError: The request is refused.
        """
        parameters = await self.authenticate(request)
        if not self._account.permissions.futures:
            raise permission_denied()
        return parameters

    def check_key(self, request: web.Request) -> None:
        """For market data that needs a key and no signature.

        Raises:
            BinanceError: -2014 or -2015, the key is malformed or unknown, or may not read.
        """
        check_key(request.headers.get(_KEY_HEADER, ""), self._api_key)
        if not self._account.permissions.reading:
            raise permission_denied()

    def check_futures_key(self, request: web.Request) -> None:
        """For the user stream, which needs a key for futures and no signature.

        Raises:
            BinanceError: -2014 or -2015, as `check_key`, or the key is not for futures.
        """
        self.check_key(request)
        if not self._account.permissions.futures:
            raise permission_denied()

    async def authenticate(self, request: web.Request) -> Mapping[str, str]:
        """The parameters of *request*, which was in time on arrival and still is.

        Raises:
            BinanceError: The request is refused.
        """
        is_local, clock = self._account.local_timestamps, self._clock
        raw = RawRequest(
            request.headers.get(_KEY_HEADER, ""),
            request.raw_path.partition("?")[2].encode("utf-8", "surrogateescape"),
            await request.read(),
            clock.local_ms() if is_local else request_arrived_ms.get(),
            microseconds_allowed=request.path.startswith("/api/"),
        )
        signed = verify(raw, self._api_key)
        if not executes_late.get():
            signed.check_time(clock.local_ms() if is_local else clock.now_ms())
        return signed.parameters
