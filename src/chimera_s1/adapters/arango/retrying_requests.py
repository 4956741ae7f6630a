"""One piece of work: its requests, repeated as their failures allow, until its time is over."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import (
    Coordinator,
    CoordinatorReply,
    Request,
    with_coordinator,
)
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
from chimera_s1.adapters.arango.reply_decoding import decode_documents, decode_row
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.backoff import Backoff

T = TypeVar("T")
BindValue: TypeAlias = str | int

RETRIES: Final = Backoff(base_ms=50, max_wait_ms=2_000, jitter_ms=0)
SHORTEST_READ_S: Final = 0.05
KEY_BUSY_WAIT_S: Final = (0.02, 0.2)
KEY_BUSY_RETRIES_MAX: Final = 5
CURSOR_TTL_S: Final = 30

_log = logging.getLogger(__name__)


class ArangoTimeouts(Struct, frozen=True):
    """How long things may take, s.

    Attributes:
        total_s: One piece of work as a whole; it begins no request after that.

        read_s: Of one request, until the answer.

        connect_s: Of one connection.
    """

    total_s: float = 8.0
    read_s: float = 5.0
    connect_s: float = 1.0


class _CursorBatch(Struct, frozen=True):
    result: list[msgspec.Raw]
    more: bool = field(name="hasMore")
    id: str = ""


class RetryingRequests:
    """Lives in one worker thread, and blocks it."""

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
        pool: Whom to ask.

        timeouts: How long for.

        deadline_s: When its time is over, by *monotonic*.

        monotonic: A clock that never goes back, s.

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
        """All there are."""
        return self._pool.coordinators

    def pick_coordinator(self) -> Coordinator:
        """Whom to ask next, for several requests that belong together."""
        return self._pool.pick(self._last_coordinator)

    def send_once(self, request: Request, at: Coordinator | None = None) -> CoordinatorReply:
        """Send *request* once: to *at*, or to another coordinator than the last one.

        Raises:
            ArangoFault: There is no answer, or it is an error.
        """
        coordinator = at or self.pick_coordinator()
        self._last_coordinator = coordinator
        left_s = max(self._deadline_s - self._monotonic(), SHORTEST_READ_S)
        try:
            reply = coordinator.send(request, min(left_s, self._timeouts.read_s))
        except ArangoRequestError as fault:
            self._pool.record_result(coordinator, fault)
            raise
        self._pool.record_result(coordinator, None)
        return reply

    def send(self, request: Request) -> CoordinatorReply:
        """Send *request*, which may be repeated whatever became of it, until there is an answer.

        Raises:
            ArangoFault: Repeating would not help.

            StoreUnavailableError: The time is over.
        """
        return self.retry(partial(self.send_once, request))

    def retry(self, work: Callable[[], T]) -> T:
        """What *work* gives as soon as it raises no fault that may pass; raises as `ask`."""
        while True:
            try:
                return work()
            except ArangoRequestError as fault:
                self.back_off_or_raise(fault)

    def find_document(self, collection: str, key: str, kind: type[T]) -> T | None:
        """The document of *key*, a *kind*; None where there is none; raises as `ask`."""
        try:
            reply = self.send(Request("get", f"/_api/document/{collection}/{key}"))
        except RequestRejectedError as refusal:
            if refusal.document_missing:
                return None
            raise
        return decode_row(reply.text, kind, reply)

    def find_documents(
        self, collection: str, keys: Sequence[str], must_have_seen: str = ""
    ) -> list[Document | None]:
        """The documents of *keys*, None where there is none; raises as `ask`.

        Args:
            collection: Of all of them.

            keys: Of each.

            must_have_seen: As in `query`.
        """
        asked = Request("put", f"/_api/document/{collection}", {"onlyget": "1"}, list(keys))
        return self.retry(
            lambda: decode_documents(
                self.send_once(asked, self._pick_up_to_date(must_have_seen)), len(keys)
            )
        )

    def write_documents(self, request: Request, count: int) -> list[Document]:
        """What is said of each of the *count* documents of *request*, which are all written again
        where some failed; raises as `ask`.
        """

        def write() -> list[Document]:
            reply = self.send_once(request)
            written = [each for each in decode_documents(reply, count) if each is not None]
            if len(written) < count:
                raise with_coordinator(
                    NoReplyError("lost a document that was to be written"), reply
                )
            return written

        return self.retry(write)

    def try_write(self, request: Request) -> bool:
        """Send *request*, which writes if things are still as they were; False, after a while,
        where they are not, or where it is unknown: look again.

        Raises:
            ArangoFault: Looking again would not help.

            StoreUnavailableError: The time is over.
        """
        try:
            self.send_once(request)
        except ArangoRequestError as fault:
            document_missing = isinstance(fault, RequestRejectedError) and fault.document_missing
            if classify_failure(fault) is FailureClass.PERMANENT and not document_missing:
                raise
            self.back_off(fault)
            return False
        return True

    def query(
        self,
        text: str,
        binds: Mapping[str, BindValue],
        kind: type[T],
        batch_size: int = 1,
        must_have_seen: str = "",
    ) -> list[T]:
        """All that the AQL *text*, which only reads, returns, each a *kind*; raises as `ask`.

        Args:
            text: AQL.

            binds: For its parameters.

            kind: Of each row.

            batch_size: Rows an answer.

            must_have_seen: `collection/key` of a document that is known to be there. Who does not
                have it lags, and somebody else is asked. Empty asks anybody.
        """
        asked = Request(
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
        return self.retry(lambda: self._run_query(asked, kind, must_have_seen))

    def back_off_or_raise(self, error: ArangoRequestError) -> None:
        """Let some time pass, if the same request may succeed then.

        Raises:
            ArangoFault: It may not.

            StoreUnavailableError: The time is over.
        """
        if classify_failure(error) in {FailureClass.PERMANENT, FailureClass.CONFLICT}:
            raise error
        self.back_off(error)

    def back_off(self, error: ArangoRequestError) -> None:
        """Let some time pass after *error*, longer each time.

        Raises:
            StoreUnavailableError: The time is over, or a key is busy for too long.
        """
        self._attempts += 1
        busy = classify_failure(error) is FailureClass.KEY_BUSY
        self._key_busy_attempts += busy
        wait_s = self._key_busy_backoff_s() if busy else self._backoff_s()
        if (
            self._key_busy_attempts > KEY_BUSY_RETRIES_MAX
            or self._monotonic() + wait_s >= self._deadline_s
        ):
            raise unavailable_error(error, self._attempts)
        # Of an outage the first try tells; the last one is the error.
        level = logging.WARNING if self._attempts == 1 else logging.DEBUG
        said = "ArangoDB is asked again: %s %s; try %d"
        _log.log(level, said, error.coordinator, error.description, self._attempts)
        time.sleep(wait_s)

    def _backoff_s(self) -> float:
        # Any time up to the back-off's: instances that failed together do not return together.
        return self._draw() * RETRIES.wait_ms(self._attempts - 1, 0.0) / 1000

    def _key_busy_backoff_s(self) -> float:
        shortest, longest = KEY_BUSY_WAIT_S
        return shortest + self._draw() * (longest - shortest)

    def _run_query(self, request: Request, kind: type[T], must_have_seen: str) -> list[T]:
        # The rest is where the first batch came from.
        coordinator = self._pick_up_to_date(must_have_seen)
        reply = self.send_once(request, coordinator)
        batch = reply.decode(_CursorBatch)
        rows = batch.result
        while batch.more:
            batch = self.send_once(Request("post", f"/_api/cursor/{batch.id}"), coordinator).decode(
                _CursorBatch
            )
            rows.extend(batch.result)
        return [decode_row(row, kind, reply) for row in rows]

    def _pick_up_to_date(self, must_have_seen: str) -> Coordinator:
        """Whom to ask next, who has the document *must_have_seen* if one is named."""
        coordinator = self.pick_coordinator()
        if not must_have_seen:
            return coordinator
        try:
            self.send_once(Request("get", f"/_api/document/{must_have_seen}"), coordinator)
        except RequestRejectedError as refusal:
            if not refusal.document_missing:
                raise
            fault = StaleCoordinatorError(f"does not know {must_have_seen}, which is there")
            fault.coordinator = coordinator.url
            raise fault from refusal
        return coordinator


def unavailable_error(error: ArangoRequestError, attempts: int = 1) -> StoreUnavailableError:
    """*error* in a sentence for people."""
    often = f" after {attempts} tries" if attempts > 1 else ""
    return StoreUnavailableError(
        f"ArangoDB at {error.coordinator} {error.description}{often}; {advice(error)}"
    )
