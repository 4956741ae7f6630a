"""Announce the start and the end of this process, and show a heartbeat in between."""

from collections.abc import Callable
from contextlib import suppress

from msgspec import structs

from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.heartbeat import Heartbeat, HeartbeatRecord
from chimera_s1.domain.ports.operations_log import EventDetail

BEAT_INTERVAL_MS = 2_000


class AnnounceService:
    """Args:
    identity: Of this process; its `ts` is set for each beat.
    record: Queues an event for `ops:events`.
    """

    def __init__(
        self,
        heartbeat: Heartbeat,
        identity: HeartbeatRecord,
        record: Callable[[str, EventDetail], None],
        clock: Clock,
    ) -> None:
        self._heartbeat = heartbeat
        self._identity = identity
        self._record = record
        self._clock = clock

    async def run(self) -> None:
        """Announce the start, then beat until cancelled."""
        self._announce("service.started")
        while True:
            # Without Redis there is nothing to show it on; the next beat tries again.
            with suppress(*REDIS_ERRORS):
                await self._heartbeat.beat(structs.replace(self._identity, ts=self._clock.now_ms()))
            await self._clock.sleep_ms(BEAT_INTERVAL_MS)

    async def end(self, reason: str) -> None:
        """Announce the end and remove the heartbeat.

        Raises:
            PublisherUnavailableError: Redis cannot be reached; the heartbeat expires.
            ConfigurationError: Redis refuses the credentials; the heartbeat expires.
        """
        self._announce("service.stopped", reason=reason)
        await self._heartbeat.end(self._identity.instance)

    def _announce(self, kind: str, **more: str) -> None:
        identity = structs.asdict(self._identity)
        del identity["ts"]
        self._record(kind, {**identity, **more})
