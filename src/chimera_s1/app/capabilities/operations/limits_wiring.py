"""The exchange's limits: watched, shared with the other instances, and divided by them."""

from collections.abc import Callable

import anyio
from msgspec import Struct, structs

from chimera_s1.adapters.redis.cluster_client import ClusterClient
from chimera_s1.adapters.redis.heartbeat import RedisHeartbeat
from chimera_s1.adapters.redis.shared_holds import RedisSharedHolds
from chimera_s1.app.capabilities.operations.count_instances import CountInstances
from chimera_s1.app.capabilities.operations.limits_metrics import (
    limits_source,
    requests_source,
    shares_source,
)
from chimera_s1.app.capabilities.operations.share_holds import ShareHolds
from chimera_s1.app.capabilities.operations.watch_holds import WatchHolds
from chimera_s1.app.capability import Capability
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.instance_count import InstanceCount, InstanceShares
from chimera_s1.domain.operations.reports import VenueLimitsReport
from chimera_s1.domain.ports.operations_log import EventDetail


class Limits(Struct, frozen=True):
    """The parts that keep the exchange's limits."""

    base: Foundation
    watches: tuple[WatchHolds, ...]
    sharing: tuple[ShareHolds, ...]
    counting: CountInstances

    async def learn(self) -> None:
        """Before the first request: which holds are in force, and how many instances there are."""
        async with anyio.create_task_group() as tasks:
            for check in (*(each.check for each in self.sharing), self.counting.check):
                tasks.start_soon(check)

    def add_to(self, capability: Capability) -> Capability:
        base = self.base
        return structs.replace(
            capability,
            workers=(
                *capability.workers,
                Worker("instances", self.counting.run),
                *(Worker(f"limits.{each.venue}", each.run) for each in self.watches),
                *(Worker(f"holds.{each.venue}", each.run) for each in self.sharing),
            ),
            health=(
                *capability.health,
                *(
                    HealthSource(f"limits.{each.venue.value}", each.report, required=False)
                    for each in self.watches
                ),
            ),
            metrics=(
                *capability.metrics,
                limits_source({each.venue: each.report for each in self.watches}),
                requests_source(
                    {venue: budget.requests for venue, budget in base.budgets.items()},
                    {venue: gate.hold for venue, gate in base.gates.items()},
                    base.clock,
                ),
                shares_source(self.counting.shares),
            ),
        )


def build_limits(
    base: Foundation,
    client: ClusterClient,
    heartbeat: RedisHeartbeat,
    record: Callable[[str, EventDetail], None],
) -> Limits:
    """Each venue's holds are shared, those of a venue that only the treasury uses, too."""
    clock, environment = base.clock, base.settings.binance_env.value
    shared = RedisSharedHolds(client, environment)
    sharing = {
        venue: ShareHolds(venue, gate.hold, shared, base.instance, clock)
        for venue, gate in base.gates.items()
    }
    counting = CountInstances(
        heartbeat,
        base.instance,
        environment,
        InstanceCount(base.settings.shard.count),
        _apply_to(base),
        clock,
    )

    def watch(venue: Venue) -> WatchHolds:
        def report() -> VenueLimitsReport:
            failure = sharing[venue].failure
            unshared = f"holds of other instances are not known: {failure}" if failure else ""
            return structs.replace(
                base.gates[venue].report(),
                requests=base.budgets[venue].requests.reports(clock.monotonic_ms()),
                shared="; ".join(filter(None, (counting.sentence(), unshared))),
            )

        hold = base.gates[venue].hold
        return WatchHolds(venue, hold, report=report, clock=clock, record=record)

    watches = tuple(watch(venue) for venue in base.settings.venues)
    return Limits(base, watches, tuple(sharing.values()), counting)


def _apply_to(base: Foundation) -> Callable[[InstanceShares], None]:
    def apply(shares: InstanceShares) -> None:
        for budget in base.budgets.values():
            budget.requests.use_instances(shares.requests)
        for gate in base.gates.values():
            gate.use_instances(shares.dials)

    return apply
