"""The exchange key of the settings, and the account that it belongs to."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.adapters.binance import spot_account
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.request_limits import spot_weight
from chimera_s1.adapters.binance.http.signing import Credentials, ExchangeClock, Signer
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall

_CALL = RequestCall("account", Priority.PROBE, spot_weight(20))


class AccountKey(Struct, frozen=True):
    """A key, and the account that it belongs to, as in the treasury's account claim."""

    signer: Signer
    account: str


KeySource: TypeAlias = Callable[[], Awaitable[AccountKey | None]]
"""The key in use; None without one. Raises `ExchangeUnavailableError` while the account is not
known.
"""


async def no_key() -> AccountKey | None:
    return None


class ReadAccountKey:
    """A `KeySource`; the account is asked for once for each key.

    Args:
        read: The credentials now; they may change at run time.
        environment: Names the exchange in the account, as in the treasury's account claim.
    """

    def __init__(
        self,
        client: HttpClient,
        read: Callable[[], Credentials],
        exchange_ms: ExchangeClock,
        environment: str,
    ) -> None:
        self._client = client
        self._read = read
        self._exchange_ms = exchange_ms
        self._environment = environment
        self._known: tuple[Credentials, AccountKey] | None = None

    async def __call__(self) -> AccountKey:
        """Raises:
        ExchangeUnavailableError: The account is not known yet.
        ExchangeRefusedError: The exchange refuses the key.
        """
        credentials = self._read()
        if self._known is None or self._known[0] != credentials:
            self._known = credentials, await self._identify(credentials)
        return self._known[1]

    async def _identify(self, credentials: Credentials) -> AccountKey:
        signer = Signer(credentials, self._exchange_ms)
        account = await self._client.get(
            Venue.SPOT,
            spot_account.PATH,
            spot_account.PARAMETERS,
            spot_account.SpotAccount,
            call=_CALL,
            signer=signer,
        )
        return AccountKey(signer, f"{self._environment}:{account.uid}")
