"""Writes `orders:executed`."""

from collections.abc import Iterator
from typing import Any

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import EXECUTED_ORDERS_STREAM
from chimera_s1.adapters.redis.stream_entries import contains_entry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.order_events import ExecutedOrder

TIMEOUT_S = 5.0


class RedisOrderEvents:
    """Implements `domain.ports.order_events.OrderEvents`."""

    def __init__(self, client: ClusterClient, *, maxlen: int, timeout_s: float = TIMEOUT_S) -> None:
        """Args: maxlen: Approximate length of the stream (`S1_OPS_MAXLEN`)."""
        self._client = client
        self._maxlen = maxlen
        self._timeout_s = timeout_s
        self._lock = anyio.Lock()

    async def publish(self, event: ExecutedOrder) -> str:
        entry_id = await self._execute(
            "XADD", EXECUTED_ORDERS_STREAM, "MAXLEN", "~", self._maxlen, "*", *_fields(event)
        )
        return str(entry_id)

    async def contains(self, entry_id: str) -> bool:
        return await contains_entry(self._execute, EXECUTED_ORDERS_STREAM, entry_id)

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 (depends on the command)
        with self._client.translate_errors(str(command[1])), anyio.fail_after(self._timeout_s):
            async with self._lock:
                return await self._client.execute_command(*command)


def _fields(event: ExecutedOrder) -> Iterator[str | int]:
    """In the order that consumers read; `reason` and `corrects` are left out where empty."""
    yield from ("ts", event.at_ms, "source", event.source, "entry_id", event.entry_id)
    yield from ("symbol", event.symbol, "venue", event.venue, "kind", event.kind.value)
    yield from ("client_order_id", event.client_order_id, "order_id", event.order_id)
    yield from ("side", event.side, "status", event.status)
    yield from ("price", exact_text(event.price), "qty", exact_text(event.qty))
    yield from ("filled_qty", exact_text(event.filled_qty))
    yield from ("avg_price", exact_text(event.avg_price))
    if event.reason:
        yield from ("reason", event.reason)
    if event.corrects:
        yield from ("corrects", event.corrects)
    yield from ("event_id", event.event_id)
