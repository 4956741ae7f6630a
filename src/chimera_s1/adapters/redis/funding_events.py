"""Writes `mkt:events:funding:<SYMBOL>`."""

from collections.abc import Iterator, Mapping, Sequence

import anyio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import REDIS_FAILURES, translated
from chimera_s1.adapters.redis.keys import funding_stream
from chimera_s1.domain.errors import ChimeraError, PublisherRefusedError
from chimera_s1.domain.ports.funding_events import FundingEvent, UnwrittenEvents

TIMEOUT_S = 5.0
CHUNK_SIZE = 500  # entries per pipeline


class RedisFundingEvents:
    """Implements `domain.ports.funding_events.FundingEvents`: one pipeline per node, at the same
    time. Entry ids are the server's: estimates and settlements come from different instances.
    """

    def __init__(self, client: ClusterClient, *, maxlen: int, timeout_s: float = TIMEOUT_S) -> None:
        """Args:
        client: Not shared with others.
        maxlen: Approximate length of each stream (`S1_STREAM_MAXLEN`).
        """
        self._client = client
        self._maxlen = maxlen
        self._timeout_s = timeout_s
        self._lock = anyio.Lock()
        self._slot_map_stale = False
        # With retries, a pipeline would first close the connections of all nodes.
        client.set_retry(Retry(NoBackoff(), 0))

    async def publish(self, events: Sequence[FundingEvent]) -> None:
        failures = await self._write(events)
        if failures:
            raise self._worst(events, failures)

    async def try_publish(self, events: Sequence[FundingEvent]) -> UnwrittenEvents:
        failures = await self._write(events)
        if not failures:
            return UnwrittenEvents()
        cause = str(self._worst(events, failures))
        return UnwrittenEvents(tuple(events[position] for position in failures), cause)

    async def _write(self, events: Sequence[FundingEvent]) -> Mapping[int, Exception]:
        """The positions that may be unwritten, and why."""
        failures: dict[int, Exception] = dict.fromkeys(range(len(events)), TimeoutError())
        with anyio.move_on_after(self._timeout_s):
            async with self._lock:
                try:
                    await self._prepare()
                except REDIS_FAILURES as error:
                    return dict.fromkeys(failures, error)
                async with anyio.create_task_group() as nodes:
                    for positions in self._by_node(events).values():
                        nodes.start_soon(self._write_to_node, events, positions, failures)
        self._slot_map_stale = bool(failures)
        return failures

    async def _prepare(self) -> None:
        if self._slot_map_stale:
            await self._client.refresh()
        else:
            await self._client.initialize()

    def _by_node(self, events: Sequence[FundingEvent]) -> Mapping[str, Sequence[int]]:
        by_node: dict[str, list[int]] = {}
        for position, event in enumerate(events):
            node = self._client.node_name(funding_stream(event.symbol))
            by_node.setdefault(node, []).append(position)
        return by_node

    async def _write_to_node(
        self,
        events: Sequence[FundingEvent],
        positions: Sequence[int],
        failures: dict[int, Exception],
    ) -> None:
        """A pipeline of its own: in one for all nodes, a node that is down hides the replies of
        the others.
        """
        for start in range(0, len(positions), CHUNK_SIZE):
            chunk = positions[start : start + CHUNK_SIZE]
            replies = await self._send([events[position] for position in chunk])
            for position, reply in zip(chunk, replies, strict=True):
                if isinstance(reply, Exception):
                    failures[position] = reply
                else:
                    del failures[position]

    async def _send(self, events: Sequence[FundingEvent]) -> Sequence[object]:
        pipeline = self._client.pipeline()
        for event in events:
            pipeline.execute_command(
                "XADD", funding_stream(event.symbol), "MAXLEN", "~", self._maxlen, "*",
                *_fields(event),
            )  # fmt: skip
        try:
            replies: Sequence[object] = await pipeline.execute(raise_on_error=False)
        except REDIS_FAILURES as error:
            return [error] * len(events)
        return replies

    def _worst(
        self, events: Sequence[FundingEvent], failures: Mapping[int, Exception]
    ) -> ChimeraError:
        """A failure that a repeated call may mend, before one that it does not mend."""
        errors = [self._translated(events[at], error) for at, error in failures.items()]
        repeatable = (each for each in errors if not isinstance(each, PublisherRefusedError))
        return next(repeatable, errors[0])

    def _translated(self, event: FundingEvent, error: Exception) -> ChimeraError:
        name = funding_stream(event.symbol)
        return translated(error, f"Redis {self._client.node_name(name)}, {name}")


def _fields(event: FundingEvent) -> Iterator[str | int]:
    """In the order that consumers read; what is not known or does not apply is left out, except
    *rate_est*.
    """
    yield from ("ts", event.ts, "symbol", event.symbol, "rate_est", event.rate_est)
    if event.rate_real:
        yield from ("rate_real", event.rate_real)
    if event.amount_usdt:
        yield from ("amount_usdt", event.amount_usdt)
    yield from ("funding_time", event.funding_time, "rate_type", event.rate_type)
    yield from ("event_id", event.event_id)
