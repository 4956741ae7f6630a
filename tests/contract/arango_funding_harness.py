"""The funding store over the ArangoDB double, and over a real server if one is given."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from chimera_s1.adapters.arango.funding_store import ArangoFundingStore
from chimera_s1.adapters.arango.layout import FUNDING, settlement_key
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.ports.funding_store import FundingStore
from tests.contract.arango_rows import ROW_DATABASES, RowConnections
from tests.contract.funding_harness import FundingHarness


class ArangoFundingHarness(FundingHarness):
    def __init__(self, connections: RowConnections) -> None:
        self._connections = connections

    async def open(self) -> FundingStore:
        return ArangoFundingStore(await self._connections.open())

    async def open_another(self) -> FundingStore:
        return ArangoFundingStore(await self._connections.open_another())

    def refuse(self, key: SettlementKey) -> None:
        self._connections.database.refuse(FUNDING, settlement_key(key), key.symbol)


@asynccontextmanager
async def _funding_harness(name: str, _directory: Path) -> AsyncIterator[FundingHarness]:
    async with ROW_DATABASES[name]() as connections:
        yield ArangoFundingHarness(connections)


ARANGO_FUNDING_HARNESSES: dict[
    str, Callable[[Path], AbstractAsyncContextManager[FundingHarness]]
] = {name: partial(_funding_harness, name) for name in ROW_DATABASES}
