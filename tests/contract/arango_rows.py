"""A database for the tests of a store: the ArangoDB double's, or one of a real server."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

from chimera_s1.adapters.arango.database import ArangoDatabase, connect_arango
from tests.arango_double import ArangoDouble, arango_double
from tests.contract.arango_ledger_harness import COORDINATORS, DATABASE, ArangoServerAddress


class RowDatabase(Protocol):
    """It outlives the connections to it."""

    def connect(self) -> AbstractAsyncContextManager[ArangoDatabase]: ...

    def refuse(self, collection: str, key: str, symbol: str) -> None:
        """Refuse the document of *key* in *collection*, or all of *symbol*, for good."""
        ...


class RowConnections:
    """The connections of one test to a database."""

    def __init__(self, database: RowDatabase, exit_stack: AsyncExitStack) -> None:
        self.database = database
        self._exit_stack = exit_stack

    async def open(self) -> ArangoDatabase:
        """As a new process does after the previous one has ended."""
        await self._exit_stack.aclose()
        return await self.open_another()

    async def open_another(self) -> ArangoDatabase:
        return await self._exit_stack.enter_async_context(self.database.connect())


class DoubleDatabase:
    def __init__(self, double: ArangoDouble) -> None:
        self._double = double

    def connect(self) -> AbstractAsyncContextManager[ArangoDatabase]:
        return connected(self._double)

    def refuse(self, collection: str, key: str, symbol: str) -> None:  # noqa: ARG002 (the key decides)
        self._double.store.refused_keys.add((DATABASE, collection, key))


class ServerDatabase:
    """On a real server the collection gets a schema that refuses rows."""

    def __init__(self, server: ArangoServerAddress, name: str) -> None:
        self._server = server
        self._name = name

    def connect(self) -> AbstractAsyncContextManager[ArangoDatabase]:
        server = self._server
        return connect_arango(
            server.urls,
            user=server.user,
            read_password=lambda: server.password,
            database=self._name,
        )

    def refuse(self, collection: str, key: str, symbol: str) -> None:  # noqa: ARG002 (a schema knows no keys)
        rule = {"not": {"properties": {"symbol": {"const": symbol}}}}
        schema = {"rule": rule, "level": "strict", "message": "refused by this test"}
        with self._server.database(self._name) as database:
            store: Any = database.collection(collection)
            store.configure(schema=schema)


def connected(double: ArangoDouble) -> AbstractAsyncContextManager[ArangoDatabase]:
    return connect_arango(double.urls, user="root", read_password=str, database=DATABASE)


@asynccontextmanager
async def _on_the_double() -> AsyncIterator[RowConnections]:
    with arango_double(COORDINATORS) as double:
        async with AsyncExitStack() as exit_stack:
            yield RowConnections(DoubleDatabase(double), exit_stack)
        assert not double.unknown


@asynccontextmanager
async def _on_a_server() -> AsyncIterator[RowConnections]:
    server = ArangoServerAddress(os.environ)
    name = f"chimera_test_{uuid4().hex}"
    try:
        async with AsyncExitStack() as exit_stack:
            yield RowConnections(ServerDatabase(server, name), exit_stack)
    finally:
        with server.database("_system") as system:
            system.delete_database(name, ignore_missing=True)


ROW_DATABASES: dict[str, Callable[[], AbstractAsyncContextManager[RowConnections]]] = {
    "arango_double": _on_the_double,
    **({"arango_server": _on_a_server} if "ARANGO_URL" in os.environ else {}),
}
