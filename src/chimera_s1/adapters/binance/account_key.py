"""The exchange key of the settings, and the account that it belongs to."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from math import inf
from typing import TypeAlias, assert_never

import anyio
from msgspec import Struct

from chimera_s1.adapters.binance import spot_account
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.request_limits import futures_weight, spot_weight
from chimera_s1.adapters.binance.http.signing import Credentials, Signer, VenueClock
from chimera_s1.domain.errors import (
    ChimeraError,
    ClockUncertainError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    OtherAccountError,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall

KEY_RETRY_S = 5.0
"""To ask for the account costs 20 weight, and each query of an order would ask."""

FUTURES_NAME = "futures-"
"""Before the account's name where futures gave it: their API does not say the account's number."""

_SPOT_CALL = RequestCall("account", Priority.PROBE, spot_weight(20))
_PERP_CALL = RequestCall("account", Priority.PROBE, futures_weight(5))
_BALANCE_PATH = "/fapi/v3/balance"
_log = logging.getLogger(__name__)


class _BalanceRow(Struct, frozen=True):
    """Source: USD-M "Futures Account Balance V3": `accountAlias` is the unique account code."""

    accountAlias: str = ""  # noqa: N815 (Binance's name)


class AccountKey(Struct, frozen=True):
    """A key, and the account that it belongs to.

    Attributes:
        signer: With the clock of the spot host.
        account: As in the treasury's account claim, or the name that futures give it.
        signers: With the clocks of the hosts of other venues, where they are known.
    """

    signer: Signer
    account: str
    signers: Mapping[Venue, Signer] = {}

    def signer_for(self, venue: Venue) -> Signer:
        return self.signers.get(venue, self.signer)


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
        named_by: The venue whose host is asked for the account: a service without spot may have a
            key, or a network, that the spot host is not for.
    """

    def __init__(
        self,
        client: HttpClient,
        read: Callable[[], Credentials],
        exchange_ms: VenueClock,
        environment: str,
        named_by: Callable[[], Venue] = lambda: Venue.SPOT,
    ) -> None:
        self._client = client
        self._read = read
        self._exchange_ms = exchange_ms
        self._environment = environment
        self._named_by = named_by
        self._known: tuple[Credentials, Venue, AccountKey] | None = None

    async def __call__(self) -> AccountKey:
        """Raises:
        ExchangeUnavailableError: The account is not known yet.
        ExchangeRefusedError: The exchange refuses the key.
        """
        credentials, venue = self._read(), self._named_by()
        if self._known is None or self._known[:2] != (credentials, venue):
            self._known = credentials, venue, await self._identify(credentials, venue)
        return self._known[2]

    async def _identify(self, credentials: Credentials, venue: Venue) -> AccountKey:
        spot, perp = (Signer(credentials, partial(self._exchange_ms, each)) for each in Venue)
        match venue:
            case Venue.SPOT:
                name = await self._read_uid(spot)
            case Venue.PERP:
                name = FUTURES_NAME + await self._read_alias(perp)
            case _:
                assert_never(venue)
        return AccountKey(spot, f"{self._environment}:{name}", {Venue.PERP: perp})

    async def _read_uid(self, signer: Signer) -> str:
        account = await self._client.get(
            Venue.SPOT,
            spot_account.PATH,
            spot_account.PARAMETERS,
            spot_account.SpotAccount,
            call=_SPOT_CALL,
            signer=signer,
        )
        return str(account.uid)

    async def _read_alias(self, signer: Signer) -> str:
        rows = await self._client.get(
            Venue.PERP, _BALANCE_PATH, (), list[_BalanceRow], call=_PERP_CALL, signer=signer
        )
        alias = next((row.accountAlias for row in rows), "")
        if not alias:
            raise ExchangeUnavailableError(f"GET {_BALANCE_PATH}: no row names the account")
        return alias


def naming_venue(account: str) -> Venue:
    """The venue whose host gave *account* its name."""
    _, _, name = account.partition(":")
    return Venue.PERP if name.startswith(FUTURES_NAME) else Venue.SPOT


class LastGoodKey:
    """A `KeySource` for orders: a key that does not work, or is of another account, does not take
    the place of one that does, so a slip in a file never blocks a stop or a cancel. The orders of
    the ledger are of one account: at another one they would seem absent.

    Args:
        use_account: Called with the account of each key that is used; raises `OtherAccountError`
            where the ledger belongs to another one.
    """

    def __init__(self, source: KeySource, use_account: Callable[[str], None]) -> None:
        self._source = source
        self._use_account = use_account
        self._lock = anyio.Lock(fast_acquire=True)
        self._good: AccountKey | None = None
        self._problem: ChimeraError | None = None
        self._retry_at = -inf

    async def __call__(self) -> AccountKey | None:
        """Raises:
        ExchangeUnavailableError: No key has worked, and its account is not known yet.
        ExchangeRefusedError: No key has worked, and the exchange refuses the one in use.
        OtherAccountError: The key belongs to another account than the ledger.
        """
        if self._good is not None and self._lock.locked():
            return self._good  # another call tries a new key
        async with self._lock:
            if self._problem is None or anyio.current_time() >= self._retry_at:
                await self._ask()
            if self._good is None and self._problem is not None:
                raise _unusable(self._problem)
            return self._good

    async def _ask(self) -> None:
        try:
            key = await self._source()
            if self._good and key and key.account != self._good.account:
                raise ExchangeRefusedError(
                    f"the new key belongs to account {key.account}, and the orders to "
                    f"{self._good.account}"
                )
            if key:
                self._use_account(key.account)
        except OtherAccountError as error:
            self._good = None  # the ledger has been read, or bound by another instance, meanwhile
            self._keep(error)
        except ChimeraError as error:
            self._keep(error)
        else:
            self._good, self._problem = key, None

    def _keep(self, error: ChimeraError) -> None:
        if self._good is not None and str(error) != str(self._problem):
            _log.error("the new exchange key is not used for orders, the old one is: %s", error)
        # Without a clock nothing was sent.
        wait_s = 0.0 if isinstance(error, ClockUncertainError) else KEY_RETRY_S
        self._problem, self._retry_at = error, anyio.current_time() + wait_s


def _unusable(problem: ChimeraError) -> ExchangeRefusedError | ExchangeUnavailableError:
    """A new error: one that is raised again and again grows with each traceback."""
    match problem:
        case ClockUncertainError():
            return ClockUncertainError(str(problem))
        case OtherAccountError():
            return OtherAccountError(str(problem))
        case ExchangeRefusedError() | ConfigurationError():
            return ExchangeRefusedError(str(problem))
        case _:
            return ExchangeUnavailableError(str(problem))
