"""Quotes onto their streams by the official client: one pipeline a node, redirects
followed by it.
"""

from collections.abc import Sequence
from typing import Self

import anyio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.cluster_report import cluster_problem
from chimera_s1.adapters.redis.errors import REDIS_FAILURES, configuration_advice, error_text
from chimera_s1.adapters.redis.keys import quote_stream
from chimera_s1.adapters.redis.publisher.quote_batch import QuoteBatch
from chimera_s1.adapters.redis.quote_entry import encode_quote_command
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport

CHUNK_SIZE = 500
TIMEOUT_S = 2.0

_BUSY_ERRORS = (TryAgainError, ClusterDownError, BusyLoadingError)


class OfficialQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher` on redis-py's `RedisCluster`.

    Each node gets its share as a pipeline of its own, so that a dead node costs only its own
    streams. Where a connection fails, its share is sent once more over a new one; what has no
    acknowledgement then is reported, and the next call begins with a fresh slot map.
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        maxlen: int,
        timeout_s: float = TIMEOUT_S,
        chunk_size: int = CHUNK_SIZE,
    ) -> None:
        """Args:
        client: Used by nobody else.

        maxlen: Entries a stream keeps, about (`S1_STREAM_MAXLEN`).

        timeout_s: The longest a call may take, s.

        chunk_size: Quotes a node is sent at a time.
        """
        self._client = client
        self._maxlen = maxlen
        self._timeout_s = timeout_s
        self._chunk_size = chunk_size
        self._lock = anyio.Lock()
        self._failed_node: str | None = None
        self._slot_map_stale = False
        self._counters = PublisherCounters()
        client.on_error_reply = self._count_redirect
        # A pipeline's own retries close the connections of all nodes first.
        client.set_retry(Retry(NoBackoff(), 0))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The client is its owner's to close."""

    @property
    def counters(self) -> PublisherCounters:
        """Live counters."""
        return self._counters

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        """Append each quote to its stream, in order within a stream; see the port."""
        if not quotes:
            return PublishReport(published=0)
        self._counters.batches += 1
        batch = QuoteBatch(quotes)
        with anyio.move_on_after(self._timeout_s) as patience:
            async with self._lock:
                await self._write(batch)
        if patience.cancelled_caught:
            self._mark_slot_map_stale()
            self._record_failure(batch, f"Redis did not acknowledge within {self._timeout_s:g} s")
        self._counters.published += batch.published
        return batch.report()

    async def ping(self) -> str:
        """Empty where every master answers and says the cluster takes writes; else what
        is wrong.
        """
        with anyio.move_on_after(self._timeout_s):
            async with self._lock:
                try:
                    await self._refresh_if_stale()
                    return await cluster_problem(self._client)
                except REDIS_FAILURES as error:
                    self._mark_slot_map_stale()
                    return f"Redis: {_error_text(error)}"
        self._mark_slot_map_stale()
        return f"Redis did not answer within {self._timeout_s:g} s"

    async def _write(self, batch: QuoteBatch) -> None:
        try:
            await self._refresh_if_stale()
            failures = await self._attempt(batch)
            if any(isinstance(error, RedisConnectionError) for error in failures.values()):
                # A connection that the server closed while it was idle looks like this; a fresh
                # one, to where the slots are now, tells whether the node is really gone.
                await self._refresh_if_stale()
                failures = await self._attempt(batch)
            for node, error in failures.items():
                self._record_failure(batch, f"Redis {node}: {_error_text(error)}")
        except REDIS_FAILURES as error:
            self._slot_map_stale = True
            self._record_failure(batch, f"Redis: {_error_text(error)}")

    async def _attempt(self, batch: QuoteBatch) -> dict[str, Exception]:
        by_node: dict[str, list[int]] = {}
        for position in batch.unpublished():
            stream = quote_stream(batch.quotes[position].instrument)
            node = self._client.get_node_from_key(stream)
            by_node.setdefault(node.name if node else "", []).append(position)
        failures: dict[str, Exception] = {}
        redirected: list[int] = []
        async with anyio.create_task_group() as nodes:
            for name, share in by_node.items():
                nodes.start_soon(self._write_node_batch, batch, name, share, failures, redirected)
        if redirected:
            # A slot can come back between two quotes of a stream: the first is redirected, the
            # second is written, and the first must not follow it.
            redirected = sorted({*redirected} & {*batch.unpublished()})
            await self._follow_redirects(batch, redirected, failures)
        for name, error in failures.items():
            # A server that answers with an error of its own (out of memory, wrong type) is where
            # the slot map says it is; anything else may have moved.
            if not isinstance(error, ResponseError) or isinstance(error, _BUSY_ERRORS):
                self._mark_slot_map_stale(name)
        return failures

    async def _write_node_batch(
        self,
        batch: QuoteBatch,
        node: str,
        positions: list[int],
        failures: dict[str, Exception],
        redirected: list[int],
    ) -> None:
        # What follows a redirected quote of its stream is redirected too, and what follows one
        # that failed waits for the next call: order within a stream is worth more than speed.
        moved: set[InstrumentId] = set()
        for start in range(0, len(positions), self._chunk_size):
            chunk = positions[start : start + self._chunk_size]
            redirected += [p for p in chunk if batch.quotes[p].instrument in moved]
            direct = [p for p in chunk if batch.quotes[p].instrument not in moved]
            # Until the answer says otherwise, also where none comes.
            batch.mark_uncertain(direct)
            try:
                replies = await self._send(batch, direct)
            except REDIS_FAILURES as error:
                failures[node] = error
                return
            for position, reply in zip(direct, replies, strict=True):
                if isinstance(reply, Exception):
                    batch.refuse(position)
                if isinstance(reply, MovedError | AskError):
                    redirected.append(position)
                    moved.add(batch.quotes[position].instrument)
                elif isinstance(reply, Exception):
                    failures.setdefault(node, reply)
                    self._count_busy(reply)
                else:
                    batch.acknowledge(position)
            if node in failures:
                return

    async def _send(self, batch: QuoteBatch, positions: Sequence[int]) -> list[object]:
        pipeline = self._client.pipeline()
        for position in positions:
            pipeline.execute_command(*encode_quote_command(batch.quotes[position], self._maxlen))
        return await pipeline.execute(raise_on_error=False, allow_redirections=False)

    async def _follow_redirects(
        self, batch: QuoteBatch, redirected: list[int], failures: dict[str, Exception]
    ) -> None:
        # One by one: redis-py sends ASKING as a command of its own, and only an otherwise idle
        # client is sure to send what follows over the same connection.
        for position in redirected:
            command = encode_quote_command(batch.quotes[position], self._maxlen)
            try:
                await self._client.execute_command(*command)
            except REDIS_FAILURES as error:
                failures["behind a redirect"] = error
                # What follows on the same stream must not come before this one.
                return
            batch.acknowledge(position)

    async def _refresh_if_stale(self) -> None:
        if self._slot_map_stale:
            await self._client.refresh(self._failed_node)
            self._slot_map_stale, self._failed_node = False, None
        else:
            await self._client.initialize()

    def _record_failure(self, batch: QuoteBatch, cause: str) -> None:
        self._counters.failures += 1
        batch.causes.append(cause)

    def _mark_slot_map_stale(self, failed_node: str | None = None) -> None:
        self._slot_map_stale = True
        self._failed_node = failed_node or self._failed_node

    def _count_redirect(self, error: Exception) -> None:
        match error:
            case MovedError():
                self._counters.moved_replies += 1
            case AskError():
                self._counters.ask_replies += 1
            case _:
                self._count_busy(error)

    def _count_busy(self, error: Exception) -> None:
        if isinstance(error, _BUSY_ERRORS):
            self._counters.busy_replies += 1


def _error_text(error: Exception) -> str:
    return configuration_advice(error) or error_text(error)
