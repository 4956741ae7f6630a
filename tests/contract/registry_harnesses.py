"""The harness of each adapter of the instrument registry."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest

from chimera_s1.adapters.sqlite.database import SqliteDatabase
from chimera_s1.adapters.sqlite.instrument_registry import SqliteInstrumentRegistry
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry
from tests.contract.arango_registry_harness import ARANGO_REGISTRY_HARNESSES
from tests.contract.registry_harness import RegistryHarness
from tests.fakes.instrument_registry import FakeInstrumentRegistry

__all__ = ["registry", "registry_harness"]


class FakeRegistryHarness(RegistryHarness):
    def __init__(self) -> None:
        self._registry = FakeInstrumentRegistry()

    async def open(self) -> InstrumentRegistry:
        return self._registry

    async def open_another(self) -> InstrumentRegistry:
        return self._registry

    def refuse(self, instrument: InstrumentId) -> None:
        self._registry.refused.add(instrument)


class SqliteRegistryHarness(RegistryHarness):
    def __init__(self, path: Path, exit_stack: AsyncExitStack) -> None:
        self.path = path
        self._exit_stack = exit_stack
        self._database: SqliteDatabase | None = None

    async def open(self) -> InstrumentRegistry:
        await self._exit_stack.aclose()
        self._database = SqliteDatabase(self.path)
        await self._exit_stack.enter_async_context(self._database)
        return SqliteInstrumentRegistry(self._database)

    async def open_another(self) -> InstrumentRegistry:
        assert self._database is not None
        return SqliteInstrumentRegistry(self._database)

    def refuse(self, instrument: InstrumentId) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON instrument_registry "
                f"WHEN NEW.symbol = '{instrument.symbol}' "
                "BEGIN SELECT RAISE(ABORT, 'refused by this test'); END"
            )


@asynccontextmanager
async def fake_registry_harness(_directory: Path) -> AsyncIterator[RegistryHarness]:
    yield FakeRegistryHarness()


@asynccontextmanager
async def sqlite_registry_harness(directory: Path) -> AsyncIterator[RegistryHarness]:
    async with AsyncExitStack() as exit_stack:
        yield SqliteRegistryHarness(directory / "s1.sqlite3", exit_stack)


REGISTRY_HARNESSES: dict[str, Callable[[Path], AbstractAsyncContextManager[RegistryHarness]]] = {
    "fake": fake_registry_harness,
    "sqlite": sqlite_registry_harness,
    **ARANGO_REGISTRY_HARNESSES,
}
"""By adapter; each takes a directory of the test's own."""


@pytest.fixture(params=REGISTRY_HARNESSES)
async def registry_harness(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[RegistryHarness]:
    async with REGISTRY_HARNESSES[request.param](tmp_path) as harness:
        yield harness


@pytest.fixture
async def registry(registry_harness: RegistryHarness) -> InstrumentRegistry:
    return await registry_harness.open()
