"""Replace the exchange key while the service runs, when its files change."""

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from chimera_s1.domain.errors import (
    ClockUncertainError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail

CHECK_INTERVAL_MS = 2_000.0
RETRY_INTERVAL_MS = 60_000.0
"""Between two questions to the exchange about a key that it has refused."""

_Key = TypeVar("_Key")

_log = logging.getLogger(__name__)


class RotateKey(Generic[_Key]):
    """A new key is used once the exchange has accepted it and says that it belongs to the ledger's
    account. Until then the old one stays in use.

    Args:
        read: The key that the files hold now; raises `ConfigurationError` if it cannot be one.
        account_of: Reads from the exchange which account a key belongs to.
        expected_account: That a new key must belong to; empty while none is known.
        use: Signs with the key from now on, and takes its account, the second argument.
    """

    def __init__(
        self,
        in_use: _Key,
        clock: Clock,
        *,
        read: Callable[[], _Key],
        account_of: Callable[[_Key], Awaitable[str]],
        expected_account: Callable[[], Awaitable[str]],
        use: Callable[[_Key, str], None],
        record_event: Callable[[str, EventDetail], None],
    ) -> None:
        self._in_use = in_use
        self._clock = clock
        self._seen = in_use
        self._refused: _Key | None = None
        self._retry_ms = 0.0
        self._read = read
        self._account_of = account_of
        self._expected_account = expected_account
        self._use = use
        self._record_event = record_event
        self.problem = ""
        """Why the key in the files is not the one in use; empty if it is."""

    async def check(self) -> float:
        """Look at the files once; returns when to look again, ms."""
        try:
            key = self._read()
        except ConfigurationError as error:
            self._report(f"the new key in the files cannot be used: {error}")
            return CHECK_INTERVAL_MS
        # Key and secret are two files: between their changes they do not fit together.
        settled, self._seen = key == self._seen, key
        if key == self._in_use:
            self.problem = ""
        elif settled and (key != self._refused or self._clock.monotonic_ms() >= self._retry_ms):
            await self._try(key)
        return CHECK_INTERVAL_MS

    async def _try(self, key: _Key) -> None:
        try:
            account = await self._account_of(key)
            expected = await self._expected_account()
        except (ClockUncertainError, ExchangeUnavailableError, StoreUnavailableError) as error:
            self._report(f"the new key in the files is not in use yet: {error}")
            return
        except ExchangeRefusedError as error:
            self._refuse(key, f"the exchange refuses the new key in the files: {error}")
            return
        if expected and account != expected:
            self._refuse(
                key,
                f"the new key in the files belongs to account {account}, and this ledger's is "
                f"{expected}; the old key stays in use",
            )
            return
        self._switch(key, account)

    def _switch(self, key: _Key, account: str) -> None:
        self._use(key, account)
        self._in_use, self._refused, self.problem = key, None, ""
        _log.info("the new exchange key is in use; it belongs to account %s", account)
        self._record_event("treasury.key_replaced", {"account": account})

    def _refuse(self, key: _Key, problem: str) -> None:
        self._refused = key
        self._retry_ms = self._clock.monotonic_ms() + RETRY_INTERVAL_MS
        self._report(problem)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("the exchange key: %s", problem)
        self.problem = problem
