"""The requests of one call: retried as their failures allow, until its deadline."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import Coordinator, CoordinatorReply, Request
from chimera_s1.adapters.arango.coordinator_pool import CoordinatorPool
from chimera_s1.adapters.arango.errors import (
    ArangoRequestError,
    FailureClass,
    NoReplyError,
    RequestRejectedError,
    StaleCoordinatorError,
    advice,
    classify_failure,
)
from chimera_s1.adapters.arango.reply_decoding import (
    decode_documents,
    decode_refusals,
    decode_results,
    decode_row,
)
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.backoff import Backoff

T = TypeVar("T")
BindValue: TypeAlias = str | int

RETRIES: Final = Backoff(base_ms=50, max_wait_ms=2_000, jitter_ms=0)
READ_TIMEOUT_MIN_S: Final = 0.05
KEY_BUSY_WAIT_S: Final = (0.02, 0.2)
KEY_BUSY_RETRIES_MAX: Final = 5
CURSOR_TTL_S: Final = 30

_log = logging.getLogger(__name__)


class ArangoTimeouts(Struct, frozen=True):
    """Attributes:
    total_s: One call with all its requests; no request starts after that.

    read_s: One request, until the reply.

    connect_s: One connection attempt.
    """

    total_s: float = 8.0
    read_s: float = 5.0
    connect_s: float = 1.0


class _CursorBatch(Struct, frozen=True):
    result: list[msgspec.Raw]
    has_more: bool = field(name="hasMore")
    id: str = ""


class RetryingRequests:
    """Used in one worker thread, which it blocks.

    Methods that retry raise `ArangoRequestError` if a retry would not help, and
    `StoreUnavailableError` at the deadline.
    """

    def __init__(
        self,
        pool: CoordinatorPool,
        timeouts: ArangoTimeouts,
        deadline_s: float,
        *,
        monotonic: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        """Args:
        deadline_s: By *monotonic*.

        draw: Uniform in [0, 1).
        """
        self._pool = pool
        self._timeouts = timeouts
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._draw = draw
        self._last_coordinator: Coordinator | None = None
        self._attempts = 0
        self._key_busy_attempts = 0

    @property
    def coordinators(self) -> Sequence[Coordinator]:
        return self._pool.coordinators

    def pick_coordinator(self) -> Coordinator:
        """A coordinator for several requests that belong together."""
        return self._pool.pick(self._last_coordinator)

    def send_once(self, request: Request, at: Coordinator | None = None) -> CoordinatorReply:
        """Send without a retry, to *at* or to another coordinator than the last one.

        Raises:
            ArangoRequestError: No reply, or an error reply.
        """
        coordinator = at or self.pick_coordinator()
        self._last_coordinator = coordinator
        left_s = max(self._deadline_s - self._monotonic(), READ_TIMEOUT_MIN_S)
        try:
            reply = coordinator.send(request, min(left_s, self._timeouts.read_s))
        except ArangoRequestError as error:
            self._pool.record_result(coordinator, error)
            raise
        self._pool.record_result(coordinator, None)
        return reply

    def send(self, request: Request) -> CoordinatorReply:
        """Send *request*, which must be idempotent, until a reply comes."""
        return self.retry(partial(self.send_once, request))

    def retry(self, work: Callable[[], T]) -> T:
        """Run *work* until it succeeds."""
        while True:
            try:
                return work()
            except ArangoRequestError as error:
                self.back_off_or_raise(error)

    def find_document(self, collection: str, key: str, kind: type[T]) -> T | None:
        try:
            reply = self.send(Request("get", f"/_api/document/{collection}/{key}"))
        except RequestRejectedError as error:
            if error.document_missing:
                return None
            raise
        return decode_row(reply.text, kind, reply)

    def find_documents(
        self, collection: str, keys: Sequence[str], must_have_seen: str = ""
    ) -> list[Document | None]:
        """One element for each of *keys*; *must_have_seen* as in `query`."""
        read = Request("put", f"/_api/document/{collection}", {"onlyget": "1"}, list(keys))
        return self.retry(
            lambda: decode_documents(
                self.send_once(read, self._pick_up_to_date(must_have_seen)), len(keys)
            )
        )

    def write_documents(self, request: Request, count: int) -> list[Document]:
        """The results of *request*, which writes *count* documents; if one fails, all are written
        again.
        """
        return self.retry(partial(self._write_documents, request, count))

    def write_each(self, request: Request, count: int) -> list[RequestRejectedError | None]:
        """Like `write_documents`, but a document that the store refuses for good fails alone."""
        return self.retry(lambda: decode_refusals(self.send_once(request), count))

    def write_results(self, request: Request, count: int) -> list[Document | RequestRejectedError]:
        """As `write_each`, with the server's description of each document that is stored."""
        return self.retry(lambda: decode_results(self.send_once(request), count))

    def try_write(self, request: Request) -> CoordinatorReply | None:
        """Send a conditional write. None after a conflict or an unknown outcome: read again."""
        try:
            return self.send_once(request)
        except ArangoRequestError as error:
            document_missing = isinstance(error, RequestRejectedError) and error.document_missing
            if classify_failure(error) is FailureClass.PERMANENT and not document_missing:
                raise
            self.back_off(error)
            return None

    def query(
        self,
        text: str,
        binds: Mapping[str, BindValue],
        kind: type[T],
        batch_size: int = 1,
        must_have_seen: str = "",
    ) -> list[T]:
        """All rows of an AQL query that only reads.

        *must_have_seen* is `collection/key` of a stored document. A coordinator that lacks it is
        stale; another one is asked. Empty: any coordinator.
        """
        request = Request(
            "post",
            "/_api/cursor",
            body={
                "query": text,
                "bindVars": binds,
                "count": False,
                "batchSize": batch_size,
                "ttl": CURSOR_TTL_S,
                "options": {"maxRuntime": self._timeouts.read_s, "failOnWarning": True},
            },
        )
        return self.retry(lambda: self._run_query(request, kind, must_have_seen))

    def back_off_or_raise(self, error: ArangoRequestError) -> None:
        """Wait before the next attempt; raise *error* if a retry would not help."""
        if classify_failure(error) in {FailureClass.PERMANENT, FailureClass.CONFLICT}:
            raise error
        self.back_off(error)

    def back_off(self, error: ArangoRequestError) -> None:
        """Wait before the next attempt.

        Raises:
            StoreUnavailableError: The wait would pass the deadline, or a key stays busy.
        """
        self._attempts += 1
        if not error.coordinator and self._last_coordinator is not None:
            error.coordinator = self._last_coordinator.url
        busy = classify_failure(error) is FailureClass.KEY_BUSY
        self._key_busy_attempts += busy
        wait_s = self._key_busy_backoff_s() if busy else self._backoff_s()
        if (
            self._key_busy_attempts > KEY_BUSY_RETRIES_MAX
            or self._monotonic() + wait_s >= self._deadline_s
        ):
            raise unavailable_error(error, self._attempts)
        # The first failure of an outage is worth a warning; the last one becomes the error.
        level = logging.WARNING if self._attempts == 1 else logging.DEBUG
        template = "ArangoDB at %s %s; retrying (attempt %d failed)"
        _log.log(level, template, error.coordinator, error.description, self._attempts)
        time.sleep(wait_s)

    def _backoff_s(self) -> float:
        # Full jitter: instances that failed together do not retry together.
        return self._draw() * RETRIES.wait_ms(self._attempts - 1, 0.0) / 1000

    def _key_busy_backoff_s(self) -> float:
        shortest, longest = KEY_BUSY_WAIT_S
        return shortest + self._draw() * (longest - shortest)

    def _write_documents(self, request: Request, count: int) -> list[Document]:
        reply = self.send_once(request)
        written = [each for each in decode_documents(reply, count) if each is not None]
        if len(written) < count:
            raise NoReplyError("replied with fewer documents than were written", reply.coordinator)
        return written

    def _run_query(self, request: Request, kind: type[T], must_have_seen: str) -> list[T]:
        # Only the coordinator that ran the query has its cursor.
        coordinator = self._pick_up_to_date(must_have_seen)
        reply = self.send_once(request, coordinator)
        batch = reply.decode(_CursorBatch)
        rows = batch.result
        while batch.has_more:
            next_batch = Request("post", f"/_api/cursor/{batch.id}")
            batch = self.send_once(next_batch, coordinator).decode(_CursorBatch)
            rows.extend(batch.result)
        return [decode_row(row, kind, reply) for row in rows]

    def _pick_up_to_date(self, must_have_seen: str) -> Coordinator:
        """The next coordinator, after a check that it has *must_have_seen* unless that is empty."""
        coordinator = self.pick_coordinator()
        if not must_have_seen:
            return coordinator
        try:
            self.send_once(Request("get", f"/_api/document/{must_have_seen}"), coordinator)
        except RequestRejectedError as error:
            if not error.document_missing:
                raise
            raise StaleCoordinatorError(
                f"is stale: it lacks {must_have_seen}, which is stored", coordinator.url
            ) from error
        return coordinator


def unavailable_error(error: ArangoRequestError, attempts: int = 1) -> StoreUnavailableError:
    after = f" after {attempts} attempts" if attempts > 1 else ""
    return StoreUnavailableError(
        f"ArangoDB at {error.coordinator} {error.description}{after}; {advice(error)}"
    )
