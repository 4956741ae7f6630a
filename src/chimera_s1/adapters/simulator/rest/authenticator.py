"""
Who may ask the account something: signature, age and permissions, before anything is done.
"""

from aiohttp import web

from chimera_s1.adapters.simulator.account.account import Permissions, Wallet
from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.config import ApiKey
from chimera_s1.adapters.simulator.rest.rest_server import arrived_ms
from chimera_s1.adapters.simulator.rest.signing import (
    SentRequest,
    SignedRequest,
    not_permitted,
    verify,
)


class Admission:
    """
    Of one account with one key.
    """

    def __init__(self, known: ApiKey, wallet: Wallet, clock: ScaledClock) -> None:
        self._known = known
        self._wallet = wallet
        self._clock = clock

    async def reader(self, request: web.Request) -> SignedRequest:
        """
        *request*, where its key may read.

        Raises:
            BinanceError: It is not admitted.
        """
        signed = await self.signed(request)
        if not self.permissions.reading:
            raise not_permitted()
        return signed

    async def signed(self, request: web.Request) -> SignedRequest:
        """
        *request*, signed and in time when it arrived, and still in time now that it is executed.

        Raises:
            BinanceError: It is not admitted.
        """
        sent = SentRequest(
            request.headers.get("X-MBX-APIKEY", ""),
            request.raw_path.partition("?")[2].encode("utf-8", "surrogateescape"),
            await request.read(),
            arrived_ms.get(),
        )
        signed = verify(sent, self._known)
        signed.check_time(self._clock.now_ms())
        return signed

    @property
    def permissions(self) -> Permissions:
        """
        Of the key, as they are now.
        """
        return self._wallet.permissions
