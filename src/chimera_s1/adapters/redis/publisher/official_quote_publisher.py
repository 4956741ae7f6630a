"""Publishes quotes with the official client: one pipeline per node."""

from collections.abc import Collection, Mapping, Sequence
from typing import Self

import anyio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
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
from chimera_s1.adapters.redis.publisher.unanswered_quotes import UnansweredQuotes
from chimera_s1.adapters.redis.quote_entry import ID_REFUSED, encode_quote_command
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.quote_publisher import PublisherCounters, PublishReport

CHUNK_SIZE = 500  # quotes per pipeline
TIMEOUT_S = 2.0
WHOLE_CLUSTER = "the cluster"

_BUSY_ERRORS = (TryAgainError, ClusterDownError, BusyLoadingError)
_REFUSALS = (ResponseError, BusyLoadingError, AuthenticationError)
"""The server's replies; any other error leaves it unknown what was written."""


class OfficialQuotePublisher:
    """Implements `domain.ports.quote_publisher.QuotePublisher` on redis-py's `RedisCluster`.

    A node that fails affects only its own streams. But calls run one after another, because
    redis-py follows ASK only on an otherwise idle client, so a node that hangs delays the next call
    for all: the whole cluster is one node of the port. If a connection fails, its quotes are sent
    once more over a new one. Quotes without an acknowledgement are reported, and the next call
    starts by refreshing the slot map.
    """

    def __init__(
        self,
        client: ClusterClient,
        *,
        maxlen: int,
        window: WindowMs,
        timeout_s: float = TIMEOUT_S,
        chunk_size: int = CHUNK_SIZE,
    ) -> None:
        """Args:
        maxlen: Approximate length of each stream (`S1_STREAM_MAXLEN`).
        window: Decides the entry ids (`S1_CONFLATION_MS`).
        """
        self._client = client
        self._maxlen = maxlen
        self._window = window
        self._timeout_s = timeout_s
        self._chunk_size = chunk_size
        self._lock = anyio.Lock()
        self._failed_node: str | None = None
        self._slot_map_stale = False
        self._refusals: dict[str, str] = {}
        self._unanswered = UnansweredQuotes()
        self._counters = PublisherCounters()
        client.on_error_reply = self._count_redirect
        # With retries, a pipeline would first close the connections of all nodes.
        client.set_retry(Retry(NoBackoff(), 0))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The owner of the client closes it."""

    @property
    def counters(self) -> PublisherCounters:
        return self._counters

    @property
    def routing_version(self) -> int:
        return 0

    def nodes(self) -> tuple[str, ...]:
        return (WHOLE_CLUSTER,)

    def by_node(self, quotes: Sequence[Quote]) -> Mapping[str, Sequence[Quote]]:
        return {WHOLE_CLUSTER: quotes} if quotes else {}

    def forget(self, instruments: Collection[InstrumentId]) -> None:
        self._unanswered.forget(instruments)

    async def publish(self, quotes: Sequence[Quote]) -> PublishReport:
        if not quotes:
            return PublishReport(published=0)
        self._counters.batches += 1
        batch = QuoteBatch(quotes)
        with anyio.move_on_after(self._timeout_s) as timeout:
            async with self._lock:
                await self._write(batch)
        if timeout.cancelled_caught:
            self._mark_slot_map_stale()
            names = ", ".join(filter(None, self._unpublished_by_node(batch)))
            silent = f"Redis {names}: no acknowledgement within {self._timeout_s:g} s"
            self._record_failure(batch, silent)
        self._unanswered.add(quotes[p] for p in batch.unpublished() if batch.is_uncertain(p))
        self._counters.published += batch.published
        self._counters.refused += len(batch.refused())
        return batch.report()

    async def ping(self, node: str) -> str:  # noqa: ARG002 (there is only one)
        """The first problem of a master; empty if all accept writes."""
        with anyio.move_on_after(self._timeout_s):
            async with self._lock:
                try:
                    await self._refresh_if_stale()
                    # A node may answer PING and refuse every write: out of memory, for example.
                    refusal = next(iter(self._refusals.values()), "")
                    return await cluster_problem(self._client) or refusal
                except REDIS_FAILURES as error:
                    self._mark_slot_map_stale()
                    return f"Redis: {self._describe(error)}"
        self._mark_slot_map_stale()
        return f"Redis: no reply within {self._timeout_s:g} s"

    async def _write(self, batch: QuoteBatch) -> None:
        try:
            await self._refresh_if_stale()
            for node in self._unpublished_by_node(batch):
                self._refusals.pop(node, None)
            failures = await self._attempt(batch)
            if any(isinstance(error, RedisConnectionError) for error in failures.values()):
                # The server may have closed an idle connection. A new one, after a refresh of the
                # slot map, shows whether the node is really down.
                await self._refresh_if_stale()
                failures = await self._attempt(batch)
            for node, error in failures.items():
                text = f"Redis {node}: {self._describe(error)}"
                if isinstance(error, ResponseError):
                    self._refusals[node] = text
                self._record_failure(batch, text)
        except REDIS_FAILURES as error:
            self._slot_map_stale = True
            self._record_failure(batch, f"Redis: {self._describe(error)}")

    async def _attempt(self, batch: QuoteBatch) -> dict[str, Exception]:
        failures: dict[str, Exception] = {}
        redirected: list[int] = []
        async with anyio.create_task_group() as nodes:
            for name, positions in self._unpublished_by_node(batch).items():
                nodes.start_soon(
                    self._write_node_batch, batch, name, positions, failures, redirected
                )
        if redirected:
            # A slot can come back between two quotes of a stream: the first is redirected, the
            # second is written. Then the first must not be written.
            redirected = sorted({*redirected} & {*batch.unpublished()})
            await self._follow_redirects(batch, redirected, failures)
        for name, error in failures.items():
            # A server that refuses the command itself (out of memory, wrong type) serves the slot;
            # after any other error the slot map may be stale.
            if not isinstance(error, ResponseError) or isinstance(error, _BUSY_ERRORS):
                self._mark_slot_map_stale(name)
        return failures

    def _unpublished_by_node(self, batch: QuoteBatch) -> dict[str, list[int]]:
        by_node: dict[str, list[int]] = {}
        for position in batch.unpublished():
            stream = quote_stream(batch.quotes[position].instrument)
            node = self._client.get_node_from_key(stream)
            by_node.setdefault(node.name if node else "", []).append(position)
        return by_node

    async def _write_node_batch(
        self,
        batch: QuoteBatch,
        node: str,
        positions: list[int],
        failures: dict[str, Exception],
        redirected: list[int],
    ) -> None:
        # To keep the order of a stream, quotes after a redirected one are redirected too, and
        # quotes after a failed one are not sent in this call.
        moved: set[InstrumentId] = set()
        for start in range(0, len(positions), self._chunk_size):
            chunk = positions[start : start + self._chunk_size]
            redirected += [p for p in chunk if batch.quotes[p].instrument in moved]
            direct = [p for p in chunk if batch.quotes[p].instrument not in moved]
            sent_before = {p for p in direct if self._sent_before(batch, p)}
            # Until the reply; stays so if none comes.
            batch.mark_uncertain(direct)
            try:
                replies = await self._send(batch, direct)
            except REDIS_FAILURES as error:
                failures[node] = error
                return
            for position, reply in zip(direct, replies, strict=True):
                if isinstance(reply, MovedError | AskError):
                    redirected.append(position)
                    moved.add(batch.quotes[position].instrument)
                elif isinstance(reply, Exception) and ID_REFUSED not in str(reply):
                    failures.setdefault(node, _about_stream(reply, batch.quotes[position]))
            self._apply_replies(batch, direct, replies, sent_before)
            if node in failures:
                return

    def _apply_replies(
        self,
        batch: QuoteBatch,
        positions: Sequence[int],
        replies: Sequence[object],
        sent_before: Collection[int],
    ) -> None:
        for position, reply in zip(positions, replies, strict=True):
            if not isinstance(reply, Exception):
                batch.acknowledge(position)
            elif ID_REFUSED in str(reply):
                self._record_id_refusal(batch, position, sent_before=position in sent_before)
            else:
                # A lost connection also comes as the reply to each command of a pipeline.
                if isinstance(reply, _REFUSALS):
                    batch.refuse(position)
                self._count_busy(reply)

    def _sent_before(self, batch: QuoteBatch, position: int) -> bool:
        return batch.is_uncertain(position) or batch.quotes[position] in self._unanswered

    def _record_id_refusal(self, batch: QuoteBatch, position: int, *, sent_before: bool) -> None:
        if sent_before:
            batch.acknowledge(position)
            self._counters.already_there += 1
        else:
            batch.refuse_id(position)

    async def _send(self, batch: QuoteBatch, positions: Sequence[int]) -> list[object]:
        pipeline = self._client.pipeline()
        for position in positions:
            pipeline.execute_command(*self._command(batch, position))
        return await pipeline.execute(raise_on_error=False, allow_redirections=False)

    async def _follow_redirects(
        self, batch: QuoteBatch, redirected: list[int], failures: dict[str, Exception]
    ) -> None:
        # One at a time: redis-py sends ASKING separately, and only an otherwise idle client is sure
        # to send the next command over the same connection.
        for position in redirected:
            sent_before = self._sent_before(batch, position)
            batch.mark_uncertain([position])
            try:
                await self._client.execute_command(*self._command(batch, position))
            except REDIS_FAILURES as error:
                if ID_REFUSED in str(error):
                    self._record_id_refusal(batch, position, sent_before=sent_before)
                    continue
                if isinstance(error, _REFUSALS):
                    batch.refuse(position)
                stream = quote_stream(batch.quotes[position].instrument)
                failures[self._client.node_name(stream)] = error
                # Later quotes of the same stream must not be written before this one.
                return
            batch.acknowledge(position)

    def _command(self, batch: QuoteBatch, position: int) -> tuple[str | int, ...]:
        return encode_quote_command(batch.quotes[position], self._maxlen, self._window)

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

    def _describe(self, error: Exception) -> str:
        return configuration_advice(error) or error_text(error)


def _about_stream(error: Exception, quote: Quote) -> Exception:
    """With the stream's name if the error is about the stream itself, not the node."""
    if str(error).startswith("WRONGTYPE"):
        return ResponseError(f"{quote_stream(quote.instrument)}: {error}")
    return error
