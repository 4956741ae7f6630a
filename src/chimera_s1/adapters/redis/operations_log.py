"""Writes `ops:events`, `metrics:events:s1.ws_rtt` and the two metric keys."""

from typing import Any, Final

import anyio
import msgspec

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import (
    OPERATIONS_STREAM,
    ROUND_TRIP_HASH,
    ROUND_TRIP_STREAM,
    THROUGHPUT_KEY,
)
from chimera_s1.adapters.redis.stream_entries import contains_entry
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.ports.operations_log import (
    OperationsEvent,
    RoundTripEntry,
    RoundTripSummary,
)

SOURCE: Final = "s1"
TIMEOUT_S = 5.0


class RedisOperationsLog:
    """Implements `domain.ports.operations_log.OperationsLog`."""

    def __init__(
        self,
        client: ClusterClient,
        *,
        maxlen: int,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Args: maxlen: Approximate length of each stream (`S1_OPS_MAXLEN`)."""
        self._client = client
        self._maxlen = maxlen
        self._timeout_s = timeout_s
        self._lock = anyio.Lock()

    async def record(self, event: OperationsEvent) -> str:
        detail = {"event_id": event.event_id, **event.detail}
        entry_id = await self._execute(
            "XADD", OPERATIONS_STREAM, "MAXLEN", "~", self._maxlen, "*",
            "ts", event.ts,
            "source", SOURCE,
            "kind", event.kind,
            "detail_json", msgspec.json.encode(detail).decode(),
        )  # fmt: skip
        return str(entry_id)

    async def contains(self, entry_id: str) -> bool:
        return await contains_entry(self._execute, OPERATIONS_STREAM, entry_id)

    async def record_round_trip(self, entry: RoundTripEntry, summary: RoundTripSummary) -> None:
        await self._execute(
            "XADD", ROUND_TRIP_STREAM, "MAXLEN", "~", self._maxlen, "*",
            "ts", entry.ts,
            "connection", entry.connection,
            "venue", entry.venue,
            "rtt_ms", decimal_text(entry.rtt_ms),
            "process_ms", "" if entry.process_ms is None else decimal_text(entry.process_ms),
        )  # fmt: skip
        await self._execute(
            "HSET", ROUND_TRIP_HASH,
            "p50", decimal_text(summary.p50),
            "p95", decimal_text(summary.p95),
            "n", summary.n,
        )  # fmt: skip

    async def record_throughput(self, messages_per_s: float) -> None:
        await self._execute("SET", THROUGHPUT_KEY, decimal_text(messages_per_s))

    async def _execute(self, *command: str | int) -> Any:  # noqa: ANN401 (depends on the command)
        with self._client.translate_errors(str(command[1])), anyio.fail_after(self._timeout_s):
            async with self._lock:
                return await self._client.execute_command(*command)
