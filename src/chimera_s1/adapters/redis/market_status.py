"""Writes `mkt:status:<venue>`."""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.keys import status_stream
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange

TIMEOUT_S = 5.0


class RedisMarketStatus:
    """Implements `domain.ports.market_status.MarketStatus`."""

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
