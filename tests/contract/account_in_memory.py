"""The account's use cases over an exchange in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from chimera_s1.app.capabilities.execution.read_account import ReadAccount
from tests.unit.app.capabilities.execution.reconcile_rig import Replica, Shared


class AccountInMemory:
    """*limit_s* bounds a reconciliation on demand."""

    def __init__(self, *, limit_s: float = 30.0) -> None:
        self.replica = Replica(Shared())
        self.exchange, self.clock = self.replica.exchange, self.replica.clock
        parts = self.replica.picture, self.replica.reconcile
        self.read = ReadAccount(parts, limit_s=limit_s)

    @asynccontextmanager
    async def reconciling(self) -> AsyncIterator[None]:
        """The worker runs, and the first round has ended."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.replica.reconcile.run)
            tasks.start_soon(self._pass_waits)
            await self.replica.reconcile.reconcile()
            yield
            tasks.cancel_scope.cancel()

    async def reconcile_once(self) -> None:
        async with self.reconciling():
            pass

    async def _pass_waits(self) -> None:
        while True:
            await self.clock.wait_for_sleeper()
            await self.clock.advance(2_000)
