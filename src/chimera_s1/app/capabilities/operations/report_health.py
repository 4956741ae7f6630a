"""Health of the whole service: what each component reports, judged, and since when it is so."""

import logging
from collections.abc import Callable

from msgspec import Struct

from chimera_s1.app.capabilities.operations.health_sentences import describe_report
from chimera_s1.domain.operations.health import (
    FeedReport,
    HealthComponent,
    HealthReport,
    Level,
    is_ready,
    overall_level,
    report_level,
)
from chimera_s1.domain.operations.trading_mode import TradingMode, trading_mode
from chimera_s1.domain.ports.clock import Clock

CHECK_INTERVAL_MS = 500

_log = logging.getLogger(__name__)


class HealthSnapshot(Struct, frozen=True):
    """The service at one moment.

    Attributes:
        status: The worst level of all components.

        ready: No required component is RED.

        mode: What the service may still do with money.

        shard: Which share of the instruments, `0/1`.

        version: Of the service.

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


class _Registration(Struct, frozen=True):
    name: str
    report: Callable[[], HealthReport]
    describe: Callable[[HealthReport], str]
    required: bool


class _LevelSince(Struct, frozen=True):
    level: Level
    since: int


HealthListener = Callable[[str, dict[str, str | int | float | bool | None]], None]
"""Takes the kind and the detail of an operational event."""


class ReportHealth:
    """Asks every registered component for its report and judges it; reads memory only."""

    def __init__(self, clock: Clock, *, shard: str, version: str) -> None:
        self._clock = clock
        self._shard = shard
        self._version = version
        self._started_ms = clock.monotonic_ms()
        self._registrations: dict[str, _Registration] = {}
        self._standings: dict[str, _LevelSince] = {}

    def register(
        self,
        name: str,
        report: Callable[[], HealthReport],
        describe: Callable[[HealthReport], str] | None = None,
        *,
        required: bool,
    ) -> None:
        """Add a component.

        Args:
            name: `feed.spot`, `redis`; registered once.

            report: Its state now; must not wait and must not raise.

            describe: Its state for people, in place of the usual sentence.

            required: While RED, the service is not ready.
        """
        assert name not in self._registrations, f"{name} is registered twice"
        self._registrations[name] = _Registration(
            name, report, describe or describe_report, required
        )

    def snapshot(self) -> HealthSnapshot:
        """Judge every component now."""
        pairs = [(each, each.report()) for each in self._registrations.values()]
        components = tuple(self._component(each, report) for each, report in pairs)
        feed_fatal = any(isinstance(report, FeedReport) and report.fatal for _, report in pairs)
        return HealthSnapshot(
            status=overall_level(components),
            ready=is_ready(components),
            # Nothing here halts the service; the kill switch is asked where money moves.
            mode=trading_mode(feed_fatal=feed_fatal, halted=False),
            shard=self._shard,
            version=self._version,
            uptime_s=int((self._clock.monotonic_ms() - self._started_ms) / 1000),
            components=components,
        )

    async def run(self, record_event: HealthListener) -> None:
        """Judge twice a second until cancelled, so that *since* is right when nobody asks.

        Args:
            record_event: Told each change of the mode (`mode.changed`) and of a component's level
                (`health.changed`) as an operational event.
        """
        before = self.snapshot()
        while True:
            await self._clock.sleep_ms(CHECK_INTERVAL_MS)
            now = self.snapshot()
            _record_changes(before, now, record_event)
            before = now

    def _component(self, registration: _Registration, report: HealthReport) -> HealthComponent:
        level = report_level(report)
        standing = self._standings.get(registration.name)
        if standing is None or standing.level is not level:
            standing = _LevelSince(level, self._clock.now_ms())
            self._standings[registration.name] = standing
        return HealthComponent(
            name=registration.name,
            level=level,
            since=standing.since,
            detail=registration.describe(report),
            required=registration.required,
        )


def _record_changes(before: HealthSnapshot, now: HealthSnapshot, tell: HealthListener) -> None:
    if now.mode is not before.mode:
        tell("mode.changed", {"from": before.mode.value, "to": now.mode.value})
    for old, new in zip(before.components, now.components, strict=True):
        if new.level is not old.level:
            _log_change(old, new)
            tell(
                "health.changed",
                {
                    "component": new.name,
                    "from": old.level.name,
                    "to": new.level.name,
                    "detail": new.detail,
                },
            )


def _log_change(old: HealthComponent, new: HealthComponent) -> None:
    """What may concern an operator; the lower levels come and go with the load."""
    if max(old.level, new.level) >= Level.ORANGE:
        level = logging.WARNING if new.level > old.level else logging.INFO
        _log.log(level, "%s is %s: %s", new.name, new.level.name, new.detail)
