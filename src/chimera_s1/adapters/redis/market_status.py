"""`mkt:status:<venue>`, by the official client."""

from collections.abc import Sequence

import anyio

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.errors import redis_errors
from chimera_s1.adapters.redis.keys import status_stream
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange

PATIENCE_S = 5.0


class RedisMarketStatus:
    """Implements `domain.ports.market_status.MarketStatus`."""

    def __init__(
        self, client: ClusterClient, *, maxlen: int, patience_s: float = PATIENCE_S
    ) -> None:
        """Args:
        client: Used by nobody else.

        maxlen: Entries each status stream keeps, about (`S1_STREAM_MAXLEN`).

        patience_s: The longest a call may take, s.
        """
        self._client = client
        self._maxlen = maxlen
        self._patience_s = patience_s
        self._one_at_a_time = anyio.Lock()

    async def append(self, venue: Venue, changes: Sequence[StatusChange]) -> None:
        """Append *changes* in order; one pipeline, because one stream is one slot."""
        with redis_errors(), anyio.fail_after(self._patience_s):
            async with self._one_at_a_time:
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
                await pipeline.execute()
