"""
The double as a whole, on the event loop that runs it.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.arango_double.access import Access
from tests.arango_double.api import Api
from tests.arango_double.control import control_application
from tests.arango_double.coordinator import HOST, Coordinator
from tests.arango_double.faults import FaultRegistry
from tests.arango_double.front import Front
from tests.arango_double.journal import Journal
from tests.arango_double.store import Store


class Cluster:
    """
    Coordinators over one store.
    """

    def __init__(self, coordinators: int, port: int = 0) -> None:
        self.store = Store(_wall_ms)
        self.access = Access(self.store.now_ms)
        self.api = Api(self.store, self.access)
        self.faults = FaultRegistry(self.store)
        self.journal = Journal()
        self.control_url = ""
        front = Front(self.api, self.faults, self.journal)
        self.coordinators = [
            Coordinator(index, port + index if port else 0, front) for index in range(coordinators)
        ]

    @property
    def urls(self) -> list[str]:
        """
        Of all coordinators.
        """
        return [each.url for each in self.coordinators]

    async def bring_up(self, index: int) -> None:
        """
        Let a coordinator listen again.
        """
        await self.coordinators[index].go_up()

    async def take_down(self, index: int) -> None:
        """
        Let a coordinator vanish, with its connections and cursors.
        """
        self.coordinators[index].go_down()
        self.api.cursors.forget(index)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """
        Serve while the context lasts.

        Raises:
            OSError: A port is taken.
        """
        runner = web.AppRunner(control_application(self), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            self.control_url = f"http://{HOST}:{runner.addresses[0][1]}"
            for coordinator in self.coordinators:
                await coordinator.go_up()
            yield
        finally:
            self.faults.clear()
            for coordinator in self.coordinators:
                await coordinator.close()
            await runner.cleanup()


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
