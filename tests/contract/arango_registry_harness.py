"""The instrument registry over the ArangoDB double, and over a real server if one is given."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from chimera_s1.adapters.arango.instrument_registry import ArangoInstrumentRegistry
from chimera_s1.adapters.arango.layout import REGISTRY, instrument_key
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.instrument_registry import InstrumentRegistry
from tests.contract.arango_rows import ROW_DATABASES, RowConnections
from tests.contract.registry_harness import RegistryHarness


class ArangoRegistryHarness(RegistryHarness):
    def __init__(self, connections: RowConnections) -> None:
        self._connections = connections

    async def open(self) -> InstrumentRegistry:
        return ArangoInstrumentRegistry(await self._connections.open())

    async def open_another(self) -> InstrumentRegistry:
        return ArangoInstrumentRegistry(await self._connections.open_another())

    def refuse(self, instrument: InstrumentId) -> None:
        key, symbol = instrument_key(instrument), instrument.symbol
        self._connections.database.refuse(REGISTRY, key, symbol)


@asynccontextmanager
async def _registry_harness(name: str, _directory: Path) -> AsyncIterator[RegistryHarness]:
    async with ROW_DATABASES[name]() as connections:
        yield ArangoRegistryHarness(connections)


ARANGO_REGISTRY_HARNESSES: dict[
    str, Callable[[Path], AbstractAsyncContextManager[RegistryHarness]]
] = {name: partial(_registry_harness, name) for name in ROW_DATABASES}
