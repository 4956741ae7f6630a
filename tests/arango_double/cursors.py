"""Query results that do not fit into one batch. A coordinator that goes down loses its own."""

from typing import Any

from msgspec import Struct

from tests.arango_double.errors import ArangoError
from tests.arango_double.http_messages import Response, object_response

BATCH_SIZE = 1000


class Cursor(Struct):
    """Attributes:
    coordinator: Index of the one that ran the query.

    rows: Not sent yet.
    """

    id: str
    coordinator: int
    rows: list[Any]
    batch_size: int


class Cursors:
    """The open ones."""

    def __init__(self) -> None:
        self._open: dict[str, Cursor] = {}

    def start(self, cursor: Cursor) -> Response:
        """Send the first batch, and keep *cursor* if there are more."""
        return object_response(201, self._take_batch(cursor))

    def next_batch(self, cursor_id: str) -> Response:
        """Raises: ArangoError: 404/1600, no such cursor."""
        cursor = self._open.pop(cursor_id, None)
        if cursor is None:
            raise ArangoError(404, 1600, "cursor not found")
        return object_response(200, self._take_batch(cursor))

    def expire(self, coordinator: int | None = None) -> None:
        """Forget the cursors of *coordinator*, or all."""
        kept = [] if coordinator is None else list(self._open.values())
        self._open = {each.id: each for each in kept if each.coordinator != coordinator}

    def _take_batch(self, cursor: Cursor) -> dict[str, Any]:
        batch, cursor.rows = cursor.rows[: cursor.batch_size], cursor.rows[cursor.batch_size :]
        body = {"result": batch, "hasMore": bool(cursor.rows), "cached": False}
        if cursor.rows:
            self._open[cursor.id] = cursor
            body["id"] = cursor.id
        return {**body, "extra": {"warnings": []}}
