"""Dead letters: where they are kept, and what shows and replays them."""

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct, structs

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.dead_letters import RedisDeadLetters
from chimera_s1.app.capabilities.operations.handle_dead_letters import HandleDeadLetters
from chimera_s1.app.capabilities.operations.keep_dead_letters import PLACE_ERRORS, KeepDeadLetters
from chimera_s1.app.capabilities.operations.metrics import dead_letters_source
from chimera_s1.app.capabilities.operations.web.dead_letter_routes import dead_letters_part
from chimera_s1.app.capability import Capability, PendingWrites
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.operations.dead_letter import TakeLetter
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.ports.operations_log import EventDetail

REDIS, STORE = "redis", "store"
"""The first part of a letter's id."""


class DeadLetterParts(Struct, frozen=True):
    """The parts that other capabilities use are `take` and `handle.register`."""

    keep: KeepDeadLetters
    handle: HandleDeadLetters

    @property
    def take(self) -> TakeLetter:
        return self.keep.take

    def add_to(self, capability: Capability) -> Capability:
        """*capability*, which also keeps dead letters."""
        return structs.replace(
            capability,
            workers=(*capability.workers, Worker("dead letters", self.keep.run)),
            health=(
                *capability.health,
                HealthSource("dead_letters", self.keep.report, required=False),
            ),
            metrics=(*capability.metrics, dead_letters_source(self.keep, self.handle)),
            web=dead_letters_part(self.handle),
            pending_writes=(*capability.pending_writes, self.pending_writes()),
        )

    def pending_writes(self) -> PendingWrites:
        """After all that may still be given up."""

        async def flush() -> None:
            with suppress(*PLACE_ERRORS):  # what is left is named in the log
                await self.keep.flush()

        return PendingWrites("dead letters", flush, lambda: self.keep.pending)


def build_dead_letters(
    base: Foundation, client: ClusterClient, record: Callable[[str, EventDetail], None]
) -> DeadLetterParts:
    limit = base.settings.dead_letters_max
    keep = KeepDeadLetters(
        {REDIS: RedisDeadLetters(client, limit=limit), STORE: base.stores.dead_letters},
        limit=limit,
        clock=base.clock,
        record=record,
    )
    return DeadLetterParts(keep, HandleDeadLetters(keep, record))
