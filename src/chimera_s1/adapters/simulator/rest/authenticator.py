"""Checks signature, time and permissions of a request before it is executed."""

from collections.abc import Mapping

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.rest_server import request_arrived_ms
from chimera_s1.adapters.simulator.rest.signing import RawRequest, permission_denied, verify


class Authenticator:
    """For one account with one API key."""

    def __init__(self, api_key: ApiKey, account: Account, clock: ScaledClock) -> None:
        self._api_key = api_key
        self._account = account
        self._clock = clock

    async def authenticate_reader(self, request: web.Request) -> Mapping[str, str]:
        """As `authenticate`, for a key with permission to read.

        Raises:
            BinanceError: The request is refused.
        """
        parameters = await self.authenticate(request)
        if not self._account.permissions.reading:
            raise permission_denied()
        return parameters

    async def authenticate(self, request: web.Request) -> Mapping[str, str]:
        """The parameters of *request*, which was in time on arrival and still is.

        Raises:
            BinanceError: The request is refused.
        """
        raw = RawRequest(
            request.headers.get("X-MBX-APIKEY", ""),
            request.raw_path.partition("?")[2].encode("utf-8", "surrogateescape"),
            await request.read(),
            request_arrived_ms.get(),
        )
        signed = verify(raw, self._api_key)
        signed.check_time(self._clock.now_ms())
        return signed.parameters
