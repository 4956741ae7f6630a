"""The harness of each adapter of the funding store."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.funding_store import SqliteFundingStore
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import FundingStore
from tests.contract.arango_funding_harness import ARANGO_FUNDING_HARNESSES
from tests.contract.funding_harness import FundingHarness
from tests.fakes.funding_store import FakeFundingStore

__all__ = ["funding", "funding_harness"]


class FakeFundingHarness(FundingHarness):
    def __init__(self) -> None:
        self._store = FakeFundingStore()

    async def open(self) -> FundingStore:
        return self._store

    async def open_another(self) -> FundingStore:
        return self._store

    def refuse(self, key: SettlementKey) -> None:
        self._store.refused.add(key)


class SqliteFundingHarness(FundingHarness):
    def __init__(self, path: Path, exit_stack: AsyncExitStack) -> None:
        self.path = path
        self._exit_stack = exit_stack
        self._database: SqliteDatabase | None = None

    async def open(self) -> FundingStore:
        await self._exit_stack.aclose()
        self._database = SqliteDatabase(self.path)
        await self._exit_stack.enter_async_context(self._database)
        return SqliteFundingStore(self._database)

    async def open_another(self) -> FundingStore:
        assert self._database is not None
        return SqliteFundingStore(self._database)

    def refuse(self, key: SettlementKey) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON funding_records "
                f"WHEN NEW.symbol = '{key.symbol}' AND NEW.funding_time = {key.funding_time} "
                "BEGIN SELECT RAISE(ABORT, 'refused by this test'); END"
            )


@asynccontextmanager
async def fake_funding_harness(_directory: Path) -> AsyncIterator[FundingHarness]:
    yield FakeFundingHarness()


@asynccontextmanager
async def sqlite_funding_harness(directory: Path) -> AsyncIterator[FundingHarness]:
    async with AsyncExitStack() as exit_stack:
        yield SqliteFundingHarness(directory / "s1.sqlite3", exit_stack)


FUNDING_HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[FundingHarness]]] = {
    "fake": fake_funding_harness,
    "sqlite": sqlite_funding_harness,
    **ARANGO_FUNDING_HARNESSES,
}
"""By adapter; each takes a directory of the test's own."""


@pytest.fixture(params=FUNDING_HARNESSES)
async def funding_harness(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[FundingHarness]:
    async with FUNDING_HARNESSES[request.param](tmp_path) as harness:
        yield harness


@pytest.fixture
async def funding(funding_harness: FundingHarness) -> FundingStore:
    return await funding_harness.open()
