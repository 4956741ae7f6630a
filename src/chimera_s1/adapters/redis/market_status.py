"""Writes `mkt:status:<venue>`, and reads back what lasts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import status_stream
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange

TIMEOUT_S = 5.0
READ_MAX = 5_000
"""Of the newest entries: more in one reply would hold the other clients of the node."""


class RedisMarketStatus:
    """Implements `MarketStatus` and `OpenGaps` of `domain.ports.market_status`."""

    def __init__(self, client: ClusterClient, *, maxlen: int, timeout_s: float = TIMEOUT_S) -> None:
        """Args: maxlen: Approximate length of each stream (`S1_STREAM_MAXLEN`)."""
        self._client = client
        self._maxlen = maxlen
        self._timeout_s = timeout_s
        self._lock = anyio.Lock()

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        """In order, in one pipeline: one stream is in one slot."""
        with self._client.translate_errors(status_stream(venue)), anyio.fail_after(self._timeout_s):
            async with self._lock:
                pipeline = self._client.pipeline()
                for change in changes:
                    pipeline.execute_command(
                        "XADD", status_stream(venue), "MAXLEN", "~", self._maxlen, "*",
                        "ts", change.ts,
                        "symbol", change.symbol,
                        "state", change.state.value,
                        "since", change.since,
                        "cause", change.cause,
                    )  # fmt: skip
                # Not raised by redis-py: it would cut and bury the server's own words.
                for reply in await pipeline.execute(raise_on_error=False):
                    if isinstance(reply, Exception):
                        raise reply

    async def open_gaps(self, venue: Venue, cause_start: str) -> tuple[StatusChange, ...]:
        name = status_stream(venue)
        with self._client.translate_errors(name), anyio.fail_after(self._timeout_s):
            async with self._lock:
                entries = await self._client.execute_command(
                    "XREVRANGE", name, "+", "-", "COUNT", READ_MAX
                )
        gaps: dict[tuple[str, str], StatusChange] = {}
        for _, fields in reversed(entries):
            if not fields.get("cause", "").startswith(cause_start):
                continue
            key = fields.get("since", ""), fields["cause"]
            if fields.get("state") == Liveness.GAP.value:
                with suppress(KeyError, ValueError):  # written by something else
                    gaps[key] = _decode(fields)
            elif fields.get("state") == Liveness.RESUMED.value:
                gaps.pop(key, None)
        return tuple(gaps.values())


def _decode(fields: Mapping[str, str]) -> StatusChange:
    return StatusChange(
        int(fields["ts"]),
        fields["symbol"],
        Liveness(fields["state"]),
        int(fields["since"]),
        fields["cause"],
    )
