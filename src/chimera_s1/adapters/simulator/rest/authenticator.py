"""Who may ask the wallet something: signature, age and permissions, before anything is done."""

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Account, Permissions
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.rest_server import request_arrived_ms
from chimera_s1.adapters.simulator.rest.signing import (
    RawRequest,
    SignedRequest,
    permission_denied,
    verify,
)


class Authenticator:
    """Of one wallet with one key."""

    def __init__(self, api_key: ApiKey, account: Account, clock: ScaledClock) -> None:
        self._api_key = api_key
        self._account = account
        self._clock = clock

    async def authenticate_reader(self, request: web.Request) -> SignedRequest:
        """*request*, where its key may read.

        Raises:
            BinanceError: It is not admitted.
        """
        signed = await self.authenticate(request)
        if not self.permissions.reading:
            raise permission_denied()
        return signed

    async def authenticate(self, request: web.Request) -> SignedRequest:
        """*request*, signed and in time when it arrived, and still in time now that it is executed.

        Raises:
            BinanceError: It is not admitted.
        """
        sent = RawRequest(
            request.headers.get("X-MBX-APIKEY", ""),
            request.raw_path.partition("?")[2].encode("utf-8", "surrogateescape"),
            await request.read(),
            request_arrived_ms.get(),
        )
        signed = verify(sent, self._api_key)
        signed.check_time(self._clock.now_ms())
        return signed

    @property
    def permissions(self) -> Permissions:
        """Of the key, as they are now."""
        return self._account.permissions
