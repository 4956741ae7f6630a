"""One piece of work: its requests, repeated as their failures allow, until its time is over."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from chimera_s1.adapters.arango.coordinator import Asked, Coordinator, Reply, blamed
from chimera_s1.adapters.arango.coordinator_pool import Rota
from chimera_s1.adapters.arango.errors import (
    ArangoFault,
    LagsError,
    NoReplyError,
    RefusedError,
    Verdict,
    advice,
    classify,
)
from chimera_s1.adapters.arango.reply_decoding import read_documents, read_row
from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ledger.commit import Document
from chimera_s1.domain.operations.backoff import Backoff

T = TypeVar("T")
BindValue: TypeAlias = str | int

RETRIES: Final = Backoff(base_ms=50, max_wait_ms=2_000, jitter_ms=0)
SHORTEST_READ_S: Final = 0.05
BUSY_WAIT_S: Final = (0.02, 0.2)
BUSY_TRIES_MAX: Final = 5
CURSOR_TTL_S: Final = 30

_log = logging.getLogger(__name__)


class Patience(Struct, frozen=True):
    """How long things may take, s.

    Attributes:
        budget_s: One piece of work as a whole; it begins no request after that.

        read_s: Of one request, until the answer.

        connect_s: Of one connection.
    """

    budget_s: float = 8.0
    read_s: float = 5.0
    connect_s: float = 1.0


class _Batch(Struct, frozen=True):
    result: list[msgspec.Raw]
    more: bool = field(name="hasMore")
    id: str = ""


class Errand:
    """Lives in one worker thread, and blocks it."""

    def __init__(
        self,
        rota: Rota,
        patience: Patience,
        until_s: float,
        *,
        monotonic: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        """Args:
        rota: Whom to ask.

        patience: How long for.

        until_s: When its time is over, by *monotonic*.

        monotonic: A clock that never goes back, s.

        draw: Uniform in [0, 1).
        """
        self._rota = rota
        self._patience = patience
        self._until_s = until_s
        self._monotonic = monotonic
        self._draw = draw
        self._last: Coordinator | None = None
        self._tries = 0
        self._busy_tries = 0

    @property
    def coordinators(self) -> Sequence[Coordinator]:
        """All there are."""
        return self._rota.coordinators

    def pick(self) -> Coordinator:
        """Whom to ask next, for several requests that belong together."""
        return self._rota.pick(self._last)

    def once(self, asked: Asked, at: Coordinator | None = None) -> Reply:
        """Send *asked* once: to *at*, or to another coordinator than the last one.

        Raises:
            ArangoFault: There is no answer, or it is an error.
        """
        coordinator = at or self.pick()
        self._last = coordinator
        left_s = max(self._until_s - self._monotonic(), SHORTEST_READ_S)
        try:
            reply = coordinator.send(asked, min(left_s, self._patience.read_s))
        except ArangoFault as fault:
            self._rota.note(coordinator, fault)
            raise
        self._rota.note(coordinator, None)
        return reply

    def ask(self, asked: Asked) -> Reply:
        """Send *asked*, which may be repeated whatever became of it, until there is an answer.

        Raises:
            ArangoFault: Repeating would not help.

            StoreUnavailableError: The time is over.
        """
        return self.repeat(partial(self.once, asked))

    def repeat(self, work: Callable[[], T]) -> T:
        """What *work* gives as soon as it raises no fault that may pass; raises as `ask`."""
        while True:
            try:
                return work()
            except ArangoFault as fault:
                self.wait_after(fault)

    def find(self, collection: str, key: str, kind: type[T]) -> T | None:
        """The document of *key*, a *kind*; None where there is none; raises as `ask`."""
        try:
            reply = self.ask(Asked("get", f"/_api/document/{collection}/{key}"))
        except RefusedError as refusal:
            if refusal.no_document:
                return None
            raise
        return read_row(reply.text, kind, reply)

    def find_many(
        self, collection: str, keys: Sequence[str], knowing: str = ""
    ) -> list[Document | None]:
        """The documents of *keys*, None where there is none; raises as `ask`.

        Args:
            collection: Of all of them.

            keys: Of each.

            knowing: As in `query`.
        """
        asked = Asked("put", f"/_api/document/{collection}", {"onlyget": "1"}, list(keys))
        return self.repeat(lambda: read_documents(self.once(asked, self._one(knowing)), len(keys)))

    def write_many(self, asked: Asked, number: int) -> list[Document]:
        """What is said of each of the *number* documents of *asked*, which are all written again
        where some failed; raises as `ask`.
        """

        def write() -> list[Document]:
            reply = self.once(asked)
            written = [each for each in read_documents(reply, number) if each is not None]
            if len(written) < number:
                raise blamed(NoReplyError("lost a document that was to be written"), reply)
            return written

        return self.repeat(write)

    def win(self, asked: Asked) -> bool:
        """Send *asked*, which writes if things are still as they were; False, after a while, where
        they are not, or where it is unknown: look again.

        Raises:
            ArangoFault: Looking again would not help.

            StoreUnavailableError: The time is over.
        """
        try:
            self.once(asked)
        except ArangoFault as fault:
            gone = isinstance(fault, RefusedError) and fault.no_document
            if classify(fault) is Verdict.PERMANENT and not gone:
                raise
            self.pause(fault)
            return False
        return True

    def query(
        self,
        text: str,
        binds: Mapping[str, BindValue],
        kind: type[T],
        batch_size: int = 1,
        knowing: str = "",
    ) -> list[T]:
        """All that the AQL *text*, which only reads, returns, each a *kind*; raises as `ask`.

        Args:
            text: AQL.

            binds: For its parameters.

            kind: Of each row.

            batch_size: Rows an answer.

            knowing: `collection/key` of a document that is known to be there. Who does not have it
                lags, and somebody else is asked. Empty asks anybody.
        """
        asked = Asked(
            "post",
            "/_api/cursor",
            body={
                "query": text,
                "bindVars": binds,
                "count": False,
                "batchSize": batch_size,
                "ttl": CURSOR_TTL_S,
                "options": {"maxRuntime": self._patience.read_s, "failOnWarning": True},
            },
        )
        return self.repeat(lambda: self._run_query(asked, kind, knowing))

    def wait_after(self, fault: ArangoFault) -> None:
        """Let some time pass, if the same request may succeed then.

        Raises:
            ArangoFault: It may not.

            StoreUnavailableError: The time is over.
        """
        if classify(fault) in {Verdict.PERMANENT, Verdict.LOST_RACE}:
            raise fault
        self.pause(fault)

    def pause(self, fault: ArangoFault) -> None:
        """Let some time pass after *fault*, longer each time.

        Raises:
            StoreUnavailableError: The time is over, or a key is busy for too long.
        """
        self._tries += 1
        busy = classify(fault) is Verdict.BUSY_KEY
        self._busy_tries += busy
        wait_s = self._busy_wait_s() if busy else self._wait_s()
        if self._busy_tries > BUSY_TRIES_MAX or self._monotonic() + wait_s >= self._until_s:
            raise unavailable(fault, self._tries)
        # Of an outage the first try tells; the last one is the error.
        level = logging.WARNING if self._tries == 1 else logging.DEBUG
        said = "ArangoDB is asked again: %s %s; try %d"
        _log.log(level, said, fault.coordinator, fault.said, self._tries)
        time.sleep(wait_s)

    def _wait_s(self) -> float:
        # Any time up to the back-off's: instances that failed together do not return together.
        return self._draw() * RETRIES.wait_ms(self._tries - 1, 0.0) / 1000

    def _busy_wait_s(self) -> float:
        shortest, longest = BUSY_WAIT_S
        return shortest + self._draw() * (longest - shortest)

    def _run_query(self, asked: Asked, kind: type[T], knowing: str) -> list[T]:
        # The rest is where the first batch came from.
        home = self._one(knowing)
        reply = self.once(asked, home)
        batch = reply.read(_Batch)
        rows = batch.result
        while batch.more:
            batch = self.once(Asked("post", f"/_api/cursor/{batch.id}"), home).read(_Batch)
            rows.extend(batch.result)
        return [read_row(row, kind, reply) for row in rows]

    def _one(self, knowing: str) -> Coordinator:
        """Whom to ask next, who has the document *knowing* if one is named."""
        coordinator = self.pick()
        if not knowing:
            return coordinator
        try:
            self.once(Asked("get", f"/_api/document/{knowing}"), coordinator)
        except RefusedError as refusal:
            if not refusal.no_document:
                raise
            fault = LagsError(f"does not know {knowing}, which is there")
            fault.coordinator = coordinator.url
            raise fault from refusal
        return coordinator


def unavailable(fault: ArangoFault, tries: int = 1) -> StoreUnavailableError:
    """*fault* in a sentence for people."""
    often = f" after {tries} tries" if tries > 1 else ""
    return StoreUnavailableError(
        f"ArangoDB at {fault.coordinator} {fault.said}{often}; {advice(fault)}"
    )
