"""An ArangoDB, open.

    async with connect_arango(urls, user="chimera", password="...", database="chimera") as arango:
        ledger = ArangoEventStore(arango, "treasury")

python-arango blocks, so each piece of work is done in a thread, whole: a task cancelled meanwhile
waits for its thread, since a write that nobody watches any more may or may not be there.
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
from chimera_s1.adapters.arango.schema import Replication, check_schema, create_schema
from chimera_s1.domain.errors import StoreUnavailableError

T = TypeVar("T")

_log = logging.getLogger(__name__)

COMMANDS_MAX = 8
PROJECTIONS_MAX = 2


class ArangoDatabase:
    """Work for the ledger and work for what is made from it have threads of their own numbers, so
    that a projection that is rebuilt never holds up a transfer.
    """

    def __init__(
        self,
        urls: Sequence[str],
        credentials: ArangoCredentials,
        *,
        timeouts: ArangoTimeouts,
        commands_max: int = COMMANDS_MAX,
        projections_max: int = PROJECTIONS_MAX,
    ) -> None:
        """Args:
        urls: Of all coordinators; scheme, host and port.

        credentials: Database, user and password.

        timeouts: How long things may take.

        commands_max: How many pieces of work for the ledger at once.

        projections_max: And how many for the rest.
        """
        coordinators = [
            Coordinator(
                url,
                credentials,
                max_connections=commands_max + projections_max,
                connect_timeout_s=timeouts.connect_s,
            )
            for url in dict.fromkeys(urls)
        ]
        self._pool = CoordinatorPool(coordinators, time.monotonic)
        self._timeouts = timeouts
        self._command_limiter = anyio.CapacityLimiter(commands_max)
        self._projection_limiter = anyio.CapacityLimiter(projections_max)
        self._thread_limiter = anyio.CapacityLimiter(math.inf)
        self._pending_setup: Callable[[RetryingRequests], None] | None = None
        self._setup_lock = anyio.Lock()

    async def run_setup(
        self, setup: Callable[[RetryingRequests], None], *, allow_unavailable: bool
    ) -> None:
        """Run *setup* before anything else.

        Args:
            setup: Sees to database and collections; may be run again.

            allow_unavailable: A store that does not answer now is waited for: the first call that
                reaches it runs *setup* before its own work.

        Raises:
            ConfigurationError: User, password, database or a collection is not as it has to be.

            StoreUnavailableError: The store does not answer, and *allow_unavailable* is not given.
        """
        self._pending_setup = setup
        try:
            await self._ensure_setup()
        except StoreUnavailableError as error:
            if not allow_unavailable:
                raise
            _log.warning("the ledger's store is waited for: %s", error)

    async def _ensure_setup(self) -> None:
        async with self._setup_lock:
            if self._pending_setup is not None:
                await self._run(self._pending_setup, self._command_limiter)
                self._pending_setup = None

    async def run_command(self, work: Callable[[RetryingRequests], T]) -> T:
        """What *work* for the ledger gives, run in a thread.

        Raises:
            StoreUnavailableError: The store did not answer in time, or refuses; whatever was to be
                written may or may not be there.
        """
        if self._pending_setup is not None:
            await self._ensure_setup()
        return await self._run(work, self._command_limiter)

    async def run_projection(self, work: Callable[[RetryingRequests], T]) -> T:
        """As `command`, for what is made from the ledger."""
        if self._pending_setup is not None:
            await self._ensure_setup()
        return await self._run(work, self._projection_limiter)

    def close(self) -> None:
        """Close all connections; nothing is under way any more."""
        for coordinator in self._pool.coordinators:
            coordinator.close()

    async def _run(
        self, work: Callable[[RetryingRequests], T], limiter: anyio.CapacityLimiter
    ) -> T:
        # The wait for a thread is part of the time that a piece of work has.
        budget_s = self._timeouts.total_s
        errand = RetryingRequests(
            self._pool,
            self._timeouts,
            time.monotonic() + budget_s,
            monotonic=time.monotonic,
            draw=random.random,
        )
        with anyio.move_on_after(budget_s) as waiting:
            await limiter.acquire()
        if waiting.cancelled_caught:
            raise StoreUnavailableError(
                f"ArangoDB is slow: for {budget_s:g} s all {limiter.total_tokens:g} connections "
                "were "
                "in use; see that the cluster is healthy; the same call may succeed then"
            )
        try:
            return await to_thread.run_sync(
                _run_translated, work, errand, limiter=self._thread_limiter
            )
        finally:
            limiter.release()


@asynccontextmanager
async def connect_arango(
    urls: Sequence[str],
    *,
    user: str,
    password: str,
    database: str,
    replication: Replication | None = None,
    read_only: bool = False,
    allow_unavailable: bool = False,
    timeouts: ArangoTimeouts | None = None,
    commands_max: int = COMMANDS_MAX,
    projections_max: int = PROJECTIONS_MAX,
) -> AsyncIterator[ArangoDatabase]:
    """An ArangoDB with database and collections as they have to be, open while the context lasts.

    Args:
        urls: Of all coordinators; scheme, host and port.

        user: With the right to write *database*; to make it too, where it is not there yet.

        password: Of the user.

        database: Its name.

        replication: How many each document must have at least; None takes what the database has.

        read_only: To look, also beside a service that writes; nothing is made.

        allow_unavailable: A store that does not answer now is waited for; a service that has more
            to do starts all the same.

        timeouts: How long things may take.

        commands_max: How many pieces of work for the ledger at once.

        projections_max: And how many for what is made from it.

    Raises:
        ConfigurationError: User, password, database or a collection is not as it has to be.

        StoreUnavailableError: The store does not answer, and *allow_unavailable* is not given.
    """
    access = ArangoCredentials(database, user, password)
    waiting = timeouts or ArangoTimeouts()
    arango = ArangoDatabase(
        urls, access, timeouts=waiting, commands_max=commands_max, projections_max=projections_max
    )
    try:
        start = check_schema if read_only else create_schema
        await arango.run_setup(
            partial(start, database, replication or Replication()),
            allow_unavailable=allow_unavailable,
        )
        yield arango
    finally:
        arango.close()


def _run_translated(work: Callable[[RetryingRequests], T], requests: RetryingRequests) -> T:
    try:
        return work(requests)
    except ArangoRequestError as fault:
        raise unavailable_error(fault) from fault
