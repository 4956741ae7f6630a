"""Writes `orders:executed`, `risk:sl_arm` and `spot:oco:armed`."""

from collections.abc import Iterator
from typing import Any, assert_never

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import (
    EXECUTED_ORDERS_STREAM,
    SPOT_EXITS_STREAM,
    STOPS_STREAM,
)
from chimera_s1.adapters.redis.stream_entries import contains_entry
from chimera_s1.domain.ledger.relayed_entry import RelayedEntry
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.order_events import (
    ExecutedOrder,
    OcoChanged,
    PublishedEvent,
    StopChanged,
)

TIMEOUT_S = 5.0


class RedisOrderEvents:
    """Implements `domain.ports.order_events.OrderEvents`."""

    def __init__(self, client: ClusterClient, *, maxlen: int, timeout_s: float = TIMEOUT_S) -> None:
        """Args: maxlen: Approximate length of each stream (`S1_OPS_MAXLEN`)."""
        self._client = client
        self._maxlen = maxlen
        self._timeout_s = timeout_s
        self._lock = anyio.Lock()

    async def publish(self, event: PublishedEvent) -> RelayedEntry:
        stream, fields = _entry(event)
        entry_id = await self._execute("XADD", stream, "MAXLEN", "~", self._maxlen, "*", *fields)
        return RelayedEntry(stream, str(entry_id))

    async def contains(self, entry: RelayedEntry) -> bool:
        return await contains_entry(self._execute, entry.stream, entry.entry_id)

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 (depends on the command)
        with self._client.translate_errors(str(command[1])), anyio.fail_after(self._timeout_s):
            async with self._lock:
                return await self._client.execute_command(*command)


def _entry(event: PublishedEvent) -> tuple[str, Iterator[str | int]]:
    """Stream and fields, in the order that consumers read."""
    match event:
        case ExecutedOrder():
            return EXECUTED_ORDERS_STREAM, _order_fields(event)
        case StopChanged():
            return STOPS_STREAM, _stop_fields(event)
        case OcoChanged():
            return SPOT_EXITS_STREAM, _oco_fields(event)
        case _:
            assert_never(event)


def _stop_fields(event: StopChanged) -> Iterator[str | int]:
    yield from ("ts", event.at_ms, "source", event.source, "entry_id", event.entry_id)
    yield from ("symbol", event.symbol, "venue", event.venue, "state", event.state.value)
    yield from ("client_algo_id", event.client_algo_id)
    yield from ("trigger_price", exact_text(event.trigger_price), "qty", exact_text(event.qty))
    yield from ("event_id", event.event_id)


def _oco_fields(event: OcoChanged) -> Iterator[str | int]:
    yield from ("ts", event.at_ms, "source", event.source, "entry_id", event.entry_id)
    yield from ("symbol", event.symbol, "state", event.state.value)
    yield from ("order_list_id", event.order_list_id, "tp_price", exact_text(event.tp_price))
    yield from ("sl_trigger_price", exact_text(event.sl_trigger_price))
    yield from ("qty", exact_text(event.qty), "event_id", event.event_id)


def _order_fields(event: ExecutedOrder) -> Iterator[str | int]:
    """`reason` and `corrects` are left out where empty."""
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
