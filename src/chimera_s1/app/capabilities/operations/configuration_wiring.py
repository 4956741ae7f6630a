"""The part of operations that follows S10, from the settings that choose it."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import structs

from chimera_s1.adapters.redis.revision_announcements import RedisRevisionAnnouncements
from chimera_s1.adapters.s10.active_client import HttpConfigurationSource
from chimera_s1.adapters.system.kept_configuration_file import FILE_NAME, FileKeptConfiguration
from chimera_s1.app.capabilities.operations.configuration_metrics import configuration_source
from chimera_s1.app.capabilities.operations.follow_configuration import FollowConfiguration
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capability import Capability
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.operations.health import HealthSource


@asynccontextmanager
async def open_configuration(
    base: Foundation, outbox: OperationsOutbox
) -> AsyncIterator[FollowConfiguration | None]:
    """Follows S10 where `S1_S10_URL` names one; the snapshot of an earlier run is in force."""
    settings = base.settings
    if settings.s10_url is None:
        yield None
        return
    async with (
        base.connect_redis() as client,  # its own: a read that waits occupies it
        HttpConfigurationSource(settings.s10_url) as source,
    ):
        follow = FollowConfiguration(
            source,
            RedisRevisionAnnouncements(client),
            FileKeptConfiguration(settings.state_dir / FILE_NAME, settings.s10_url),
            clock=base.clock,
            record=outbox.record,
            poll_ms=settings.s10_poll_ms,
            draw=random.random,
            selects=settings.symbols_from_s10,
        )
        await follow.restore()
        yield follow


def with_configuration(capability: Capability, follow: FollowConfiguration | None) -> Capability:
    """*capability* with what follows S10."""
    if follow is None:
        return capability
    return structs.replace(
        capability,
        workers=(*capability.workers, Worker("s10", follow.run)),
        health=(*capability.health, HealthSource("s10", follow.report, required=False)),
        metrics=(*capability.metrics, configuration_source(follow)),
    )
