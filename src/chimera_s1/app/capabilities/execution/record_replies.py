"""Record replies that only this process knows."""

import logging
from collections.abc import Awaitable, Callable

import anyio

from chimera_s1.domain.errors import (
    LedgerDamagedError,
    LedgerTooNewError,
    OtherAccountError,
    StoreUnavailableError,
)
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.ports.clock import Clock

LEDGER_ERRORS = (
    StoreUnavailableError,
    LedgerDamagedError,
    LedgerTooNewError,
    OtherAccountError,
)
RECORD_LIMIT_S = 10.0
"""A shutdown waits so long for a reply to be recorded."""

RECORD_BACKOFF = Backoff(base_ms=100, max_wait_ms=2_000, jitter_ms=50)

_log = logging.getLogger(__name__)


class RecordReplies:
    """Repeats a write while the store fails, for `RECORD_LIMIT_S`; cancellation waits for it. A
    reply that is given up leaves the order as it is in the ledger: `ResolveUnknown` looks it up.

    Attributes:
        given_up: So many replies were not recorded.
    """

    def __init__(self, clock: Clock, draw: Callable[[], float]) -> None:
        self.given_up = 0
        self._clock = clock
        self._draw = draw
        self._errors: dict[str, str] = {}

    @property
    def last_error(self) -> str:
        """Why a reply is not recorded yet; empty while none waits."""
        return next(iter(self._errors.values()), "")

    async def persist(
        self, client_id: str, reply: object, write: Callable[[], Awaitable[object]]
    ) -> None:
        """*reply* is for the log; *write* is repeated, so it must be safe to repeat."""
        recorded = False
        try:
            with anyio.move_on_after(RECORD_LIMIT_S, shield=True):
                recorded = await self._write(client_id, write)
        finally:
            error = self._errors.pop(client_id, f"no answer within {RECORD_LIMIT_S:g} s")
        if not recorded:
            self.given_up += 1
            _log.critical(
                "order %s: the reply %r was not recorded: %s; the order will be looked up",
                client_id,
                reply,
                error,
            )

    async def _write(self, client_id: str, write: Callable[[], Awaitable[object]]) -> bool:
        """False if repeating does not help."""
        retries = 0
        while True:
            try:
                await write()
            except StoreUnavailableError as error:
                self._errors[client_id] = str(error)
                await self._clock.sleep_ms(RECORD_BACKOFF.wait_ms(retries, self._draw()))
                retries += 1
            except (LedgerDamagedError, LedgerTooNewError, OtherAccountError) as error:
                self._errors[client_id] = str(error)
                return False
            else:
                return True
