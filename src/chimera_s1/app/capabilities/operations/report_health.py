"""Report the health of the service: the level of each component, and since when."""

import logging
from collections.abc import Callable

from msgspec import Struct

from chimera_s1.domain.operations.health import (
    HealthComponent,
    HealthSource,
    Level,
    is_ready,
    overall_level,
)
from chimera_s1.domain.operations.level_grace import (
    GraceLimit,
    SeenState,
    SettledLevel,
    describe_waiting,
)
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.operations_log import EventDetail

CHECK_INTERVAL_MS = 500

_log = logging.getLogger(__name__)


class HealthSnapshot(Struct, frozen=True):
    """The service at one moment.

    Attributes:
        status: The worst level of all components.
        ready: Every required component has worked since the start, and is not RED.
        shard: Which share of the instruments, `0/1`.
        uptime_s: Whole seconds since it was started.
        components: In the order they were registered.
    """

    status: Level
    ready: bool
    mode: TradingMode
    shard: str
    version: str
    uptime_s: int
    components: tuple[HealthComponent, ...]


class _LevelSince(Struct, frozen=True):
    settled: SettledLevel
    since: int


class ReportHealth:
    """Asks every component for its report; reads memory only.

    Args:
        mode: The trading mode now.
        grace: How long a level may wait at most.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        shard: str,
        version: str,
        mode: Callable[[], TradingMode],
        grace: GraceLimit,
    ) -> None:
        self._clock = clock
        self._shard = shard
        self._version = version
        self._mode = mode
        self._grace = grace
        self._started_ms = clock.monotonic_ms()
        self._sources: dict[str, HealthSource] = {}
        self._levels: dict[str, _LevelSince] = {}

    def register(self, source: HealthSource) -> None:
        assert source.name not in self._sources, f"{source.name} is registered twice"
        self._sources[source.name] = source

    def snapshot(self) -> HealthSnapshot:
        """The levels now."""
        components = tuple(map(self._component, self._sources.values()))
        return HealthSnapshot(
            status=overall_level(components),
            ready=is_ready(components),
            mode=self._mode(),
            shard=self._shard,
            version=self._version,
            uptime_s=int((self._clock.monotonic_ms() - self._started_ms) / 1000),
            components=components,
        )

    async def run(self, record: Callable[[str, EventDetail], None]) -> None:
        """Check the levels twice a second until cancelled, so that *since* is right without
        requests.

        Args:
            record: Takes each change of a level as the operational event `health.changed`.
        """
        before = self.snapshot()
        while True:
            await self._clock.sleep_ms(CHECK_INTERVAL_MS)
            now = self.snapshot()
            _record_changes(before, now, record)
            before = now

    def _component(self, source: HealthSource) -> HealthComponent:
        report = source.report()
        seen = SeenState(report.level, report.grace_ms, self._clock.monotonic_ms())
        settled, since = self._settle(source.name, seen)
        waiting = describe_waiting(settled, seen, self._grace)
        return HealthComponent(
            source.name,
            settled.level,
            since,
            f"{report.sentence}; {waiting}" if waiting else report.sentence,
            required=source.required,
            ready=settled.ready,
            lasted_ms=settled.lasted_ms,
        )

    def _settle(self, name: str, seen: SeenState) -> tuple[SettledLevel, int]:
        """The level to show, and since when."""
        known = self._levels.get(name) or _LevelSince(SettledLevel(), self._clock.now_ms())
        settled = known.settled.after(seen, self._grace)
        changed = settled.level is not known.settled.level
        since = self._clock.now_ms() if changed else known.since
        self._levels[name] = _LevelSince(settled, since)
        return settled, since


def _record_changes(
    before: HealthSnapshot, now: HealthSnapshot, record: Callable[[str, EventDetail], None]
) -> None:
    for old, new in zip(before.components, now.components, strict=True):
        if new.level is not old.level:
            _log_change(old, new)
            detail: EventDetail = {
                "component": new.name,
                "from": old.level.name,
                "to": new.level.name,
                "detail": new.detail,
            }
            if new.level < old.level and old.lasted_ms:
                detail["lasted_ms"] = round(old.lasted_ms)
            record("health.changed", detail)


def _log_change(old: HealthComponent, new: HealthComponent) -> None:
    """Log changes that may concern an operator; lower levels vary with the load."""
    if new.level > old.level and new.level >= Level.ORANGE:
        _log.warning("%s is %s: %s", new.name, new.level.name, new.detail)
    elif new.level < old.level and old.level >= Level.ORANGE:
        _log.info(
            "%s is %s after %.1f s of %s: %s",
            new.name,
            new.level.name,
            old.lasted_ms / 1000,
            old.level.name,
            new.detail,
        )
