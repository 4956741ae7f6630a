"""The funding store over the ArangoDB double, and over a real server if one is given."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from chimera_s1.adapters.arango.funding_store import ArangoFundingStore
from chimera_s1.adapters.arango.layout import FUNDING, settlement_key
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import FundingStore
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import COORDINATORS, DATABASE, ArangoServerAddress
from tests.contract.arango_registry_harness import connected
from tests.contract.funding_harness import FundingHarness

_Connect = Callable[[], AbstractAsyncContextManager[ArangoDatabase]]


class ArangoFundingHarness(FundingHarness):
    """A database that outlives the connections to it."""

    def __init__(self, connect: _Connect, exit_stack: AsyncExitStack) -> None:
        self._connect = connect
        self._exit_stack = exit_stack

    async def open(self) -> FundingStore:
        await self._exit_stack.aclose()
        return await self.open_another()

    async def open_another(self) -> FundingStore:
        return ArangoFundingStore(await self._exit_stack.enter_async_context(self._connect()))


class DoubleFundingHarness(ArangoFundingHarness):
    def __init__(self, double: ArangoDouble, exit_stack: AsyncExitStack) -> None:
        super().__init__(lambda: connected(double), exit_stack)
        self._double = double

    def refuse(self, key: SettlementKey) -> None:
        self._double.store.refused_keys.add((DATABASE, FUNDING, settlement_key(key)))


class ServerFundingHarness(ArangoFundingHarness):
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

    def refuse(self, key: SettlementKey) -> None:
        rule = {"not": {"properties": {"symbol": {"const": key.symbol}}}}
        schema = {"rule": rule, "level": "strict", "message": "refused by this test"}
        with self._server.database(self._name) as database:
            store: Any = database.collection(FUNDING)
            store.configure(schema=schema)


@asynccontextmanager
async def double_funding_harness(_directory: Path) -> AsyncIterator[FundingHarness]:
    with arango_double(COORDINATORS) as double:
        async with AsyncExitStack() as exit_stack:
            yield DoubleFundingHarness(double, exit_stack)
        assert not double.unknown


@asynccontextmanager
async def server_funding_harness(_directory: Path) -> AsyncIterator[FundingHarness]:
    server = ArangoServerAddress(os.environ)
    name = f"chimera_test_{uuid4().hex}"
    try:
        async with AsyncExitStack() as exit_stack:
            yield ServerFundingHarness(server, name, exit_stack)
    finally:
        with server.database("_system") as system:
            system.delete_database(name, ignore_missing=True)


ARANGO_FUNDING_HARNESSES: dict[
    str, Callable[[Path], AbstractAsyncContextManager[FundingHarness]]
] = {
    "arango_double": double_funding_harness,
    **({"arango_server": server_funding_harness} if "ARANGO_URL" in os.environ else {}),
}
