"""An open connection to ArangoDB.

    async with connect_arango(urls, user="s1", read_password=read, database="chimera") as arango:
        ledger = ArangoEventStore(arango, "treasury")

python-arango blocks, so each call runs in a thread. A cancelled task waits for its thread:
otherwise a write could be applied after its caller has ended.
"""

import logging
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import anyio
from anyio import to_thread

from chimera_s1.adapters.arango.coordinator import ArangoCredentials, Coordinator
from chimera_s1.adapters.arango.coordinator_pool import CoordinatorPool
from chimera_s1.adapters.arango.errors import ArangoRequestError
from chimera_s1.adapters.arango.retrying_requests import (
    ArangoTimeouts,
    RetryingRequests,
    unavailable_error,
)
from chimera_s1.adapters.arango.schema import (
    Replication,
    check_schema,
    check_writable,
    create_schema,
)
from chimera_s1.domain.errors import ConfigurationError, StoreUnavailableError

T = TypeVar("T")

_log = logging.getLogger(__name__)

COMMANDS_MAX = 8
PROJECTIONS_MAX = 2


class ArangoDatabase:
    """Ledger calls and projection calls have separate limits, so that rebuilding a projection never
    delays a transfer.
    """

    def __init__(
        self,
        urls: Sequence[str],
        credentials: ArangoCredentials,
        *,
        timeouts: ArangoTimeouts,
        commands_max: int,
    ) -> None:
        coordinators = [
            Coordinator(
                url,
                credentials,
                max_connections=commands_max + PROJECTIONS_MAX,
                connect_timeout_s=timeouts.connect_s,
            )
            for url in dict.fromkeys(urls)
        ]
        self._pool = CoordinatorPool(coordinators, time.monotonic)
        self._timeouts = timeouts
        self._command_limiter = anyio.CapacityLimiter(commands_max)
        self._projection_limiter = anyio.CapacityLimiter(PROJECTIONS_MAX)
        self._thread_limiter = anyio.CapacityLimiter(math.inf)
        self._pending_setup: Callable[[RetryingRequests], None] | None = None
        self._setup_lock = anyio.Lock()

    async def run_setup(
        self, setup: Callable[[RetryingRequests], None], *, allow_unavailable: bool
    ) -> None:
        """Run *setup* before any other call.

        Args:
            setup: Creates or checks the schema; must be repeatable.
            allow_unavailable: If the store does not reply now, the next call runs *setup* first.

        Raises:
            ConfigurationError: User, password, database or a collection is wrong.
            StoreUnavailableError: The store does not reply, without *allow_unavailable*.
        """
        self._pending_setup = setup
        try:
            await self._ensure_setup()
        except StoreUnavailableError as error:
            if not allow_unavailable:
                raise
            _log.warning("ledger store unavailable; connecting on first use: %s", error)

    @property
    def place(self) -> str:
        return f"ArangoDB at {', '.join(each.url for each in self._pool.coordinators)}"

    async def check(self) -> None:
        """Implements `domain.ports.store_probe.StoreProbe`: a leader is there, and takes writes."""
        await self.run_command(check_writable)

    async def run_command(self, work: Callable[[RetryingRequests], T]) -> T:
        """Run *work* for the ledger in a thread.

        Raises:
            StoreUnavailableError: No reply in time, or a refusal; writes may or may not be applied.
        """
        return await self._run_after_setup(work, self._command_limiter)

    async def run_projection(self, work: Callable[[RetryingRequests], T]) -> T:
        """Like `run_command`, for cursors and projections."""
        return await self._run_after_setup(work, self._projection_limiter)

    def close(self) -> None:
        """Close all connections; no call may be running."""
        for coordinator in self._pool.coordinators:
            coordinator.close()

    async def _run_after_setup(
        self, work: Callable[[RetryingRequests], T], limiter: anyio.CapacityLimiter
    ) -> T:
        if self._pending_setup is not None:
            try:
                await self._ensure_setup()
            except ConfigurationError as error:
                # The service runs already; the next call tries again.
                raise StoreUnavailableError(str(error)) from error
        return await self._run(work, limiter)

    async def _ensure_setup(self) -> None:
        async with self._setup_lock:
            if self._pending_setup is not None:
                await self._run(self._pending_setup, self._command_limiter)
                self._pending_setup = None

    async def _run(
        self, work: Callable[[RetryingRequests], T], limiter: anyio.CapacityLimiter
    ) -> T:
        # The deadline includes the wait for a connection.
        requests = self._new_requests()
        await self._acquire(limiter)
        try:
            return await to_thread.run_sync(
                _run_translated, work, requests, limiter=self._thread_limiter
            )
        finally:
            limiter.release()

    def _new_requests(self) -> RetryingRequests:
        return RetryingRequests(
            self._pool,
            self._timeouts,
            time.monotonic() + self._timeouts.total_s,
            monotonic=time.monotonic,
            draw=random.random,
        )

    async def _acquire(self, limiter: anyio.CapacityLimiter) -> None:
        timeout_s = self._timeouts.total_s
        with anyio.move_on_after(timeout_s) as scope:
            await limiter.acquire()
        if scope.cancelled_caught:
            raise StoreUnavailableError(
                f"ArangoDB: no free connection within {timeout_s:g} s (all "
                f"{limiter.total_tokens:g} in use); check the cluster's health, then retry"
            )


@asynccontextmanager
async def connect_arango(
    urls: Sequence[str],
    *,
    user: str,
    read_password: Callable[[], str],
    database: str,
    replication: Replication | None = None,
    read_only: bool = False,
    allow_unavailable: bool = False,
    timeouts: ArangoTimeouts | None = None,
    commands_max: int = COMMANDS_MAX,
) -> AsyncIterator[ArangoDatabase]:
    """An ArangoDB whose database and collections exist and are checked.

    *urls* name every coordinator. *user* may write *database*, and create it if it does not exist.
    *replication* is the required minimum; None accepts what the database has. *read_only* creates
    nothing, and may run beside a service that writes. With *allow_unavailable* a store that does
    not reply now is checked on first use. *commands_max* limits ledger calls at once.

    Raises:
        ConfigurationError: User, password, database or a collection is wrong.
        StoreUnavailableError: The store does not reply, without *allow_unavailable*.
    """
    arango = ArangoDatabase(
        urls,
        ArangoCredentials(database, user, read_password),
        timeouts=timeouts or ArangoTimeouts(),
        commands_max=commands_max,
    )
    setup = check_schema if read_only else create_schema
    try:
        await arango.run_setup(
            partial(setup, database, replication or Replication()),
            allow_unavailable=allow_unavailable,
        )
        yield arango
    finally:
        arango.close()


def _run_translated(work: Callable[[RetryingRequests], T], requests: RetryingRequests) -> T:
    try:
        return work(requests)
    except ArangoRequestError as error:
        raise unavailable_error(error) from error
