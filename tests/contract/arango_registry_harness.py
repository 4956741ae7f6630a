"""The instrument registry over the ArangoDB double, and over a real server if one is given."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from chimera_s1.adapters.arango.instrument_registry import ArangoInstrumentRegistry
from chimera_s1.adapters.arango.layout import REGISTRY, instrument_key
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import COORDINATORS, DATABASE, ArangoServerAddress
from tests.contract.registry_harness import RegistryHarness

_Connect = Callable[[], AbstractAsyncContextManager[ArangoDatabase]]


class ArangoRegistryHarness(RegistryHarness):
    """A database that outlives the connections to it."""

    def __init__(self, connect: _Connect, exit_stack: AsyncExitStack) -> None:
        self._connect = connect
        self._exit_stack = exit_stack

    async def open(self) -> InstrumentRegistry:
        await self._exit_stack.aclose()
        return await self.open_another()

    async def open_another(self) -> InstrumentRegistry:
        return ArangoInstrumentRegistry(await self._exit_stack.enter_async_context(self._connect()))


class DoubleRegistryHarness(ArangoRegistryHarness):
    def __init__(self, double: ArangoDouble, exit_stack: AsyncExitStack) -> None:
        super().__init__(lambda: connected(double), exit_stack)
        self._double = double

    def refuse(self, instrument: InstrumentId) -> None:
        self._double.store.refused_keys.add((DATABASE, REGISTRY, instrument_key(instrument)))


class ServerRegistryHarness(ArangoRegistryHarness):
    """A real server, whose collection gets a schema to refuse a row."""

    def __init__(
        self, server: ArangoServerAddress, database: str, exit_stack: AsyncExitStack
    ) -> None:
        super().__init__(
            lambda: connect_arango(
                server.urls,
                user=server.user,
                read_password=lambda: server.password,
                database=database,
            ),
            exit_stack,
        )
        self._server = server
        self._name = database

    def refuse(self, instrument: InstrumentId) -> None:
        rule = {"not": {"properties": {"symbol": {"const": instrument.symbol}}}}
        schema = {"rule": rule, "level": "strict", "message": "refused by this test"}
        with self._server.database(self._name) as database:
            registry: Any = database.collection(REGISTRY)
            registry.configure(schema=schema)


def connected(double: ArangoDouble) -> AbstractAsyncContextManager[ArangoDatabase]:
    return connect_arango(double.urls, user="root", read_password=str, database=DATABASE)


@asynccontextmanager
async def double_registry_harness(_directory: Path) -> AsyncIterator[RegistryHarness]:
    with arango_double(COORDINATORS) as double:
        async with AsyncExitStack() as exit_stack:
            yield DoubleRegistryHarness(double, exit_stack)
        assert not double.unknown


@asynccontextmanager
async def server_registry_harness(_directory: Path) -> AsyncIterator[RegistryHarness]:
    server = ArangoServerAddress(os.environ)
    name = f"chimera_test_{uuid4().hex}"
    try:
        async with AsyncExitStack() as exit_stack:
            yield ServerRegistryHarness(server, name, exit_stack)
    finally:
        with server.database("_system") as system:
            system.delete_database(name, ignore_missing=True)


ARANGO_REGISTRY_HARNESSES: dict[
    str, Callable[[Path], AbstractAsyncContextManager[RegistryHarness]]
] = {
    "arango_double": double_registry_harness,
    **({"arango_server": server_registry_harness} if "ARANGO_URL" in os.environ else {}),
}
