"""Connections to one REST host, each for one request: some are kept ready, so that an order does
not wait for TCP and TLS.

A connection that has carried a request is never used again: where it was closed while idle, a
request that never arrived could not be told from one whose reply was lost.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit

import anyio

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.error_text import error_text
from chimera_s1.adapters.binance.http.single_use_connection import SingleUseConnection, dial

READY_MAX_AGE_S = 25.0
"""Below the 60 s after which load balancers and address translators forget an idle connection."""

DIAL_TIMEOUT_S = 10.0
REDIAL_MIN_S, REDIAL_MAX_S = 0.5, 30.0

_log = logging.getLogger(__name__)


class SingleUseConnections:
    """Attributes:
    dialed, taken_ready: Connections that a request had to wait for, and that were ready for it.

    problem: Why the last dial ahead of a request failed; empty once one has succeeded.

    changed: Set when a connection is taken, and after every dial ahead of a request.
    """

    def __init__(
        self, endpoints: Endpoints, context: ssl.SSLContext, hold_ms: Callable[[], float]
    ) -> None:
        """Args:
        hold_ms: How long nothing may be sent to the host.
        """
        self.dialed = 0
        self.taken_ready = 0
        self.problem = ""
        self._endpoints = endpoints
        self._context = context
        self._hold_ms = hold_ms
        self._ready: deque[SingleUseConnection] = deque()
        self._taken_before = 0
        self.changed = asyncio.Event()

    @property
    def ready(self) -> int:
        """So many connections could be used now."""
        return sum(map(self._is_fit, self._ready))

    def take_ready(self) -> SingleUseConnection | None:
        """An open connection on which nothing was sent; the caller closes it."""
        while self._ready:
            connection = self._ready.popleft()
            self._tell()
            if self._is_fit(connection):
                self.taken_ready += 1
                return connection
            connection.close()
        return None

    async def dial(self) -> SingleUseConnection:
        """A connection for a request that has found none ready; the caller closes it.

        Raises:
            Exception: Of any kind: none can be made, and nothing was sent.
        """
        self.dialed += 1
        return await self._dial()

    async def keep_ready(self, count: int) -> NoReturn:
        """Keep *count* connections open until cancelled."""
        delay_s = REDIAL_MIN_S
        try:
            while True:
                served = self._has_served()
                lost = self._drop_unfit()
                held_s = self._hold_ms() / 1000
                if served:
                    delay_s = REDIAL_MIN_S
                if not lost and (len(self._ready) >= count or held_s > 0):
                    await self._wait_for_change(held_s or self._next_expiry_s())
                elif lost or not await self._add():
                    await anyio.sleep(delay_s)
                    delay_s = min(2 * delay_s, REDIAL_MAX_S)
        finally:
            self.close()

    def close(self) -> None:
        while self._ready:
            self._ready.popleft().close()

    async def _dial(self) -> SingleUseConnection:
        endpoints = self._endpoints
        endpoints.egress.check(endpoints.rest_url)
        return await dial(endpoints.rest_url, endpoints.egress, self._context)

    async def _add(self) -> bool:
        try:
            with anyio.fail_after(DIAL_TIMEOUT_S):
                connection = await self._dial()
        except Exception as error:  # noqa: BLE001 (whatever it is, a request dials for itself)
            self._set_problem(error_text(error, self._endpoints.egress))
            self._tell()
            return False
        self._set_problem("")
        self._ready.append(connection)
        self._tell()
        return True

    def _set_problem(self, problem: str) -> None:
        host = urlsplit(self._endpoints.rest_url).hostname
        if problem and not self.problem:
            _log.warning(
                "%s: no connection is ready for orders: %s; each order opens its own", host, problem
            )
        elif self.problem and not problem:
            _log.info("%s: a connection is ready for orders again", host)
        self.problem = problem

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def _wait_for_change(self, longest_s: float) -> None:
        """Until a connection is taken or ends, or for *longest_s*."""
        with anyio.move_on_after(longest_s):
            async with anyio.create_task_group() as tasks:

                async def wait(event: asyncio.Event) -> None:
                    await event.wait()
                    tasks.cancel_scope.cancel()

                for event in (self.changed, *(each.changed for each in self._ready)):
                    tasks.start_soon(wait, event)

    def _next_expiry_s(self) -> float:
        oldest = min(each.opened_at for each in self._ready)
        return max(0.0, oldest + READY_MAX_AGE_S - asyncio.get_running_loop().time())

    def _drop_unfit(self) -> bool:
        """Whether the other side has ended one before its time."""
        unfit = [each for each in self._ready if not self._is_fit(each)]
        for connection in unfit:
            self._ready.remove(connection)
            connection.close()
        lost = [each for each in unfit if self._age_s(each) < READY_MAX_AGE_S]
        if lost:
            self._set_problem("the host ends idle connections")
            self._tell()
        return bool(lost)

    def _has_served(self) -> bool:
        """Since the last call a connection was taken while it was ready, or has grown old."""
        taken, self._taken_before = self._taken_before, self.taken_ready
        old = any(self._age_s(each) >= READY_MAX_AGE_S for each in self._ready)
        return old or self.taken_ready > taken

    def _is_fit(self, connection: SingleUseConnection) -> bool:
        return connection.is_usable and self._age_s(connection) < READY_MAX_AGE_S

    def _age_s(self, connection: SingleUseConnection) -> float:
        return asyncio.get_running_loop().time() - connection.opened_at
