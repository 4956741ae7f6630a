"""A damaged file, for stores that are no ledgers."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from chimera_s1.adapters.sqlite.database import SqliteAccess, StatementParameters
from chimera_s1.domain.errors import LedgerDamagedError, StoreUnavailableError

T = TypeVar("T")


class UnavailableWhenDamaged:
    """*database* for all stores but ledgers: a damaged file is one more reason not to answer, which
    must not end what runs without the store.
    """

    def __init__(self, database: SqliteAccess) -> None:
        self._database = database

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _damage_as_unavailable():
            return await self._database.write(work)

    async def execute(
        self, statement: str, parameters: Sequence[StatementParameters] = ((),)
    ) -> int:
        with _damage_as_unavailable():
            return await self._database.execute(statement, parameters)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _damage_as_unavailable():
            return await self._database.read(work)


@contextmanager
def _damage_as_unavailable() -> Iterator[None]:
    try:
        yield
    except LedgerDamagedError as error:
        raise StoreUnavailableError(str(error)) from error
