"""
Query results that did not fit into one batch. A coordinator that goes down loses its own.
"""

from typing import Any

from msgspec import Struct

from tests.arango_double.errors import ArangoError
from tests.arango_double.requests_in import Answer, result

BATCH_SIZE = 1000


class Cursor(Struct):
    """
    What is left of a result.

    Attributes:
        batch: Number of the next batch, from 2.

        last: The batch that was sent last, where it may be asked for again.
    """

    id: str
    coordinator: int
    rows: list[Any]
    batch_size: int
    count: int | None
    repeatable: bool
    batch: int = 1
    last: list[Any] | None = None


class Cursors:
    """
    Those that are open.
    """

    def __init__(self) -> None:
        self._open: dict[str, Cursor] = {}

    def __len__(self) -> int:
        return len(self._open)

    def start(self, cursor: Cursor) -> Answer:
        """
        Keep *cursor*, if one batch does not take it all, and send the first.
        """
        self._open[cursor.id] = cursor
        return result(201, self._take_batch(cursor))

    def next_batch(self, cursor_id: str, batch: str | None) -> Answer:
        """
        The next batch, or the last one again where *batch* says so.

        Raises:
            ArangoError: 404/1600 no such cursor, 400/400 no such batch.
        """
        cursor = self._find(cursor_id)
        if batch == str(cursor.batch) or batch is None:
            return result(200, self._take_batch(cursor))
        if cursor.last is not None and batch == str(cursor.batch - 1):
            return result(200, self._shape(cursor, cursor.last))
        raise ArangoError(400, 400, "batch id not found")

    def close(self, cursor_id: str) -> Answer:
        """
        Forget one.
        """
        del self._open[self._find(cursor_id).id]
        return result(202, {"id": cursor_id})

    def forget(self, coordinator: int | None = None) -> None:
        """
        Forget those of *coordinator*, or all: they expired.
        """
        gone = [c.id for c in self._open.values() if coordinator in {None, c.coordinator}]
        for cursor_id in gone:
            del self._open[cursor_id]

    def _find(self, cursor_id: str) -> Cursor:
        cursor = self._open.get(cursor_id)
        if cursor is None:
            raise ArangoError(404, 1600, "cursor not found")
        return cursor

    def _take_batch(self, cursor: Cursor) -> dict[str, Any]:
        rows, cursor.rows = cursor.rows[: cursor.batch_size], cursor.rows[cursor.batch_size :]
        cursor.batch += 1
        cursor.last = rows if cursor.repeatable else None
        if not cursor.rows and not cursor.repeatable:
            del self._open[cursor.id]
        return self._shape(cursor, rows)

    def _shape(self, cursor: Cursor, rows: list[Any]) -> dict[str, Any]:
        body: dict[str, Any] = {"result": rows, "hasMore": bool(cursor.rows)}
        if cursor.id in self._open:
            body["id"] = cursor.id
        if cursor.repeatable and cursor.rows:
            body["nextBatchId"] = str(cursor.batch)
        if cursor.count is not None:
            body["count"] = cursor.count
        stats = {"writesExecuted": 0, "writesIgnored": 0, "scannedFull": 0, "filtered": 0}
        return {**body, "cached": False, "extra": {"warnings": [], "stats": stats}}
