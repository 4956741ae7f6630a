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

from chimera_s1.adapters.arango.coordinator import ArangoAccess, Coordinator
from chimera_s1.adapters.arango.coordinator_pool import Rota
from chimera_s1.adapters.arango.errors import ArangoFault
from chimera_s1.adapters.arango.retrying_requests import Errand, Patience, unavailable
from chimera_s1.adapters.arango.schema import Copies, check, prepare
from chimera_s1.domain.errors import StoreUnavailableError

T = TypeVar("T")

_log = logging.getLogger(__name__)

COMMANDS = 8
PROJECTIONS = 2


class Arango:
    """Work for the ledger and work for what is made from it have threads of their own numbers, so
    that a projection that is rebuilt never holds up a transfer.
    """

    def __init__(
        self,
        urls: Sequence[str],
        access: ArangoAccess,
        *,
        patience: Patience,
        commands: int = COMMANDS,
        projections: int = PROJECTIONS,
    ) -> None:
        """Args:
        urls: Of all coordinators; scheme, host and port.

        access: Database, user and password.

        patience: How long things may take.

        commands: How many pieces of work for the ledger at once.

        projections: And how many for the rest.
        """
        coordinators = [
            Coordinator(
                url, access, connections=commands + projections, connect_s=patience.connect_s
            )
            for url in dict.fromkeys(urls)
        ]
        self._rota = Rota(coordinators, time.monotonic)
        self._patience = patience
        self._commands = anyio.CapacityLimiter(commands)
        self._projections = anyio.CapacityLimiter(projections)
        self._threads = anyio.CapacityLimiter(math.inf)
        self._start: Callable[[Errand], None] | None = None
        self._starting = anyio.Lock()

    async def begin(self, start: Callable[[Errand], None], *, later: bool) -> None:
        """Run *start* before anything else.

        Args:
            start: Sees to database and collections; may be run again.

            later: A store that does not answer now is waited for: the first call that reaches it
                runs *start* before its own work.

        Raises:
            ConfigurationError: User, password, database or a collection is not as it has to be.

            StoreUnavailableError: The store does not answer, and *later* is not given.
        """
        self._start = start
        try:
            await self._started()
        except StoreUnavailableError as error:
            if not later:
                raise
            _log.warning("the ledger's store is waited for: %s", error)

    async def _started(self) -> None:
        async with self._starting:
            if self._start is not None:
                await self._run(self._start, self._commands)
                self._start = None

    async def command(self, work: Callable[[Errand], T]) -> T:
        """What *work* for the ledger gives, run in a thread.

        Raises:
            StoreUnavailableError: The store did not answer in time, or refuses; whatever was to be
                written may or may not be there.
        """
        if self._start is not None:
            await self._started()
        return await self._run(work, self._commands)

    async def project(self, work: Callable[[Errand], T]) -> T:
        """As `command`, for what is made from the ledger."""
        if self._start is not None:
            await self._started()
        return await self._run(work, self._projections)

    def close(self) -> None:
        """Close all connections; nothing is under way any more."""
        for coordinator in self._rota.coordinators:
            coordinator.close()

    async def _run(self, work: Callable[[Errand], T], slots: anyio.CapacityLimiter) -> T:
        # The wait for a thread is part of the time that a piece of work has.
        budget_s = self._patience.budget_s
        errand = Errand(
            self._rota,
            self._patience,
            time.monotonic() + budget_s,
            monotonic=time.monotonic,
            draw=random.random,
        )
        with anyio.move_on_after(budget_s) as waiting:
            await slots.acquire()
        if waiting.cancelled_caught:
            raise StoreUnavailableError(
                f"ArangoDB is slow: for {budget_s:g} s all {slots.total_tokens:g} connections were "
                "in use; see that the cluster is healthy; the same call may succeed then"
            )
        try:
            return await to_thread.run_sync(_translated, work, errand, limiter=self._threads)
        finally:
            slots.release()


@asynccontextmanager
async def connect_arango(
    urls: Sequence[str],
    *,
    user: str,
    password: str,
    database: str,
    copies: Copies | None = None,
    read_only: bool = False,
    later: bool = False,
    patience: Patience | None = None,
    commands: int = COMMANDS,
    projections: int = PROJECTIONS,
) -> AsyncIterator[Arango]:
    """An ArangoDB with database and collections as they have to be, open while the context lasts.

    Args:
        urls: Of all coordinators; scheme, host and port.

        user: With the right to write *database*; to make it too, where it is not there yet.

        password: Of the user.

        database: Its name.

        copies: How many each document must have at least; None takes what the database has.

        read_only: To look, also beside a service that writes; nothing is made.

        later: A store that does not answer now is waited for; a service that has more to do
            starts all the same.

        patience: How long things may take.

        commands: How many pieces of work for the ledger at once.

        projections: And how many for what is made from it.

    Raises:
        ConfigurationError: User, password, database or a collection is not as it has to be.

        StoreUnavailableError: The store does not answer, and *later* is not given.
    """
    access = ArangoAccess(database, user, password)
    waiting = patience or Patience()
    arango = Arango(urls, access, patience=waiting, commands=commands, projections=projections)
    try:
        start = check if read_only else prepare
        await arango.begin(partial(start, database, copies or Copies()), later=later)
        yield arango
    finally:
        arango.close()


def _translated(work: Callable[[Errand], T], errand: Errand) -> T:
    try:
        return work(errand)
    except ArangoFault as fault:
        raise unavailable(fault) from fault
