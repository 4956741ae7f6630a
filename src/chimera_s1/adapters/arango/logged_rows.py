"""Rows that are written from a log.

A change comes first, its row after it. A cursor says up to which batch the rows are written, so
after a crash between the two the next writer of any instance writes them.
"""

from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar, assert_never

from msgspec import Struct

from chimera_s1.adapters.arango.cursor_store import ArangoCursorStore
from chimera_s1.adapters.arango.database import ArangoDatabase
from chimera_s1.adapters.arango.dense_log import (
    Batch,
    BatchAppended,
    BatchRefused,
    DenseLog,
    NumberTaken,
    end_of_batch,
)
from chimera_s1.adapters.arango.retrying_requests import RetryingRequests

T = TypeVar("T")

WITHOUT_ROW_MAX: Final = 1_000

SelectNewer: TypeAlias = Callable[[Sequence[T], Sequence[T], str, RetryingRequests], Sequence[T]]
"""Those of the first changes that may follow what is stored. The second are in the log without a
row; the text is `must_have_seen` of `RetryingRequests.query`.
"""
PutRows: TypeAlias = Callable[[Sequence[T]], Awaitable[Sequence[str]]]
"""Writes rows; the result has for each the store's reason to refuse it for good, or an empty text.
"""


class LoggedChanges(Struct, Generic[T]):
    """Attributes:
    logged: The changes that this call has added to the log.
    refused: Changes that the log, or their rows that the store refuses for good, by key; with the
        store's reason.
    """

    logged: list[T]
    refused: dict[Hashable, tuple[T, str]]


class LoggedRows(Generic[T]):
    """Args:
    withdraws_refused: A change whose row the store refuses for good is withdrawn from the log.
        Otherwise it stays, and its row is tried again.
    """

    def __init__(
        self,
        database: ArangoDatabase,
        log: DenseLog[T],
        cursor: str,
        *,
        key_of: Callable[[T], Hashable],
        select_newer: SelectNewer[T],
        put_rows: PutRows[T],
        withdraws_refused: bool = False,
    ) -> None:
        self._database = database
        self._log = log
        self._cursor = cursor
        self._cursors = ArangoCursorStore(database)
        self._key_of = key_of
        self._select_newer = select_newer
        self._put_rows = put_rows
        self._withdraws_refused = withdraws_refused
        # Changes in the log whose rows were refused: without a row they would be logged each time.
        self._without_row: dict[Hashable, T] = {}
        # The newest batch that is known to be stored.
        self._seen = 0

    async def apply(self, changes: Sequence[T]) -> LoggedChanges[T]:
        """Write what is missing, then those of *changes* that may follow what is stored."""
        result: LoggedChanges[T] = LoggedChanges([], {})
        newest = await self._write_missing(result, await self._cursors.read(self._cursor))
        await self._put(list(self._without_row.values()), result)
        size = self._log.batch_max
        pending = [changes[n : n + size] for n in range(0, len(changes), size)][::-1]
        while pending:
            some = pending.pop()
            newer = await self._newer(some)
            if not newer:
                continue
            batch = Batch(newest + 1, newer)
            match await self._database.run_projection(partial(self._log.append, batch)):
                case BatchAppended():
                    result.logged += newer
                    newest = await self._write([batch], result)
                case NumberTaken():
                    self._seen = batch.number
                    newest = await self._write_missing(result, newest)
                    pending.append(some)
                case BatchRefused(reason=reason) if len(newer) == 1:
                    result.refused[self._key_of(newer[0])] = (newer[0], reason)
                case BatchRefused():
                    half = len(newer) // 2
                    pending += [newer[half:], newer[:half]]
                case unreachable:
                    assert_never(unreachable)
        return result

    async def read(self, after: int, limit: int) -> Sequence[tuple[int, T]]:
        """As `DenseLog.read`, of changes whose rows are written."""
        through = await self._cursors.read(self._cursor)
        return await self._database.run_projection(
            partial(self._log.read, after, limit, through=through)
        )

    async def last_position(self) -> int:
        """No change whose row is written has a later position."""
        number = await self._cursors.read(self._cursor)
        return end_of_batch(number) if number else 0

    async def _newer(self, changes: Sequence[T]) -> tuple[T, ...]:
        """Judged by what is stored, which is that of the newest known batch or later."""
        without_row = list(self._without_row.values())
        seen = self._log.document_id(self._seen)
        work = partial(self._select_newer, changes, without_row, seen)
        return tuple(await self._database.run_projection(work))

    async def _write_missing(self, result: LoggedChanges[T], after: int) -> int:
        """Write the rows of the batches beyond *after*; returns the newest batch's number."""
        while batches := await self._database.run_projection(
            partial(self._log.read_batches, after, seen=self._seen)
        ):
            after = await self._write(batches, result)
        return after

    async def _write(self, batches: Sequence[Batch[T]], result: LoggedChanges[T]) -> int:
        newest = {
            self._key_of(change): (batch.number, change)
            for batch in batches
            for change in batch.counted().values()
        }
        refused = await self._put([change for _, change in newest.values()], result)
        if self._withdraws_refused:
            await self._withdraw(batches, {(newest[key][0], key) for key in refused})
        number = batches[-1].number
        self._seen = max(self._seen, number)
        await self._cursors.advance(self._cursor, number)
        return number

    async def _withdraw(
        self, batches: Sequence[Batch[T]], refused: Collection[tuple[int, Hashable]]
    ) -> None:
        """Of each batch the changes of *refused*, which are numbers of batches with keys."""
        for batch in batches:
            places = [
                place
                for place, change in batch.counted().items()
                if (batch.number, self._key_of(change)) in refused
            ]
            if places:
                work = partial(self._log.withdraw, batch, places)
                await self._database.run_projection(work)

    async def _put(self, changes: Sequence[T], result: LoggedChanges[T]) -> set[Hashable]:
        """The keys of those that are refused."""
        refused: set[Hashable] = set()
        for change, reason in zip(changes, await self._put_rows(changes), strict=True):
            key = self._key_of(change)
            if not reason:
                self._without_row.pop(key, None)
                continue
            refused.add(key)
            result.refused[key] = (change, reason)
            if not self._withdraws_refused:
                self._without_row[key] = change
            if len(self._without_row) > WITHOUT_ROW_MAX:
                # It is logged again when it is written again.
                del self._without_row[next(iter(self._without_row))]
        return refused
