"""Runs one drill: waits for a stable service, injects the faults, measures."""

from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from chimera_s1.app.cli.drill.drill import Drill, RedisFault, SimulatedFault
from chimera_s1.app.cli.drill.environment import (
    DrillEnvironment,
    DrillEnvironmentError,
    SimulatorState,
)
from chimera_s1.app.cli.drill.observer import ServiceObserver
from chimera_s1.app.cli.drill.quote_checks import (
    SentBook,
    lateness_ms,
    mistimed_quotes,
    most_missing,
    quote_errors,
)
from chimera_s1.app.cli.drill.result import DrillResult, Measurements, evaluate
from chimera_s1.app.cli.drill.signs import AnySign, ObservedSign, find_signs
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.clock import Clock

STABLE_TIMEOUT_MS = 90_000
SIGN_TIMEOUT_MS = 10_000
"""Wait for a sign, beyond its target and the duration of its fault."""

DRAIN_MS = 2_500
"""Wait until windows that were open at the end are written."""

_POLL_INTERVAL_MS = 50


class FaultTimeline(Struct, frozen=True):
    """When the faults began, were noticed, and were over.

    Attributes:
        began_ms: When one first fired, local epoch ms.
        redis_back_ms: When Redis answered again; None where it was not broken.
        fired: How often each fault fired.
    """

    began_ms: int
    noticed: ObservedSign | None
    redis_back_ms: int | None
    over: ObservedSign | None
    fired: tuple[int, ...]


class DrillRunner:
    """Runs drills one after the other, with an observer that is running."""

    def __init__(
        self,
        environment: DrillEnvironment,
        observer: ServiceObserver,
        clock: Clock,
        report_progress: Callable[[str], None],
    ) -> None:
        self._environment = environment
        self._observer = observer
        self._clock = clock
        self._report_progress = report_progress
        self._books: dict[InstrumentId, frozenset[SentBook]] = {}

    async def run(self, drill: Drill) -> DrillResult:
        """Run *drill*.

        Raises:
            DrillEnvironmentError: The service does not become stable, or a part does not answer.
        """
        self._report_progress(f"{drill.name}: waiting for a stable service")
        names = await self._wait_until_stable()
        for name in names:
            if name not in self._books:
                self._books[name] = await self._environment.books(name)
        before = await self._environment.simulator_state()
        timeline = await self._run_faults(drill, names)
        self._report_progress(f"{drill.name}: measuring")
        await self._clock.sleep_ms(DRAIN_MS)
        after = await self._environment.simulator_state()
        return evaluate(drill, self._measure(drill, names, timeline, _traffic(before, after)))

    async def _wait_until_stable(self) -> tuple[InstrumentId, ...]:
        """Wait until all is GREEN and quotes come in every window; the quoted instruments."""
        until_ms = self._clock.monotonic_ms() + STABLE_TIMEOUT_MS
        while self._clock.monotonic_ms() < until_ms:
            names = self._observer.observations.stable_instruments(self._clock.now_ms())
            if names and not self._unhealthy():
                return names
            await self._clock.sleep_ms(_POLL_INTERVAL_MS)
        cause = ", ".join(self._unhealthy()) or "no instrument has a quote in every window"
        raise DrillEnvironmentError(
            f"the service was not stable within {STABLE_TIMEOUT_MS / 1000:.0f} s: {cause}; "
            f"see {self._environment.target.url}/health"
        )

    def _unhealthy(self) -> list[str]:
        health = self._observer.observations.health
        if not health or not health[-1].levels:
            return [f"{self._environment.target.url} does not answer"]
        levels = health[-1].levels
        return [f"{name} is {level}" for name, level in levels.items() if level != "GREEN"]

    async def _run_faults(self, drill: Drill, names: Sequence[InstrumentId]) -> FaultTimeline:
        armed: list[int] = []
        redis_back_ms: list[int] = []
        start_ms = self._clock.now_ms()
        async with anyio.create_task_group() as tasks:
            try:
                for fault in drill.faults:
                    if isinstance(fault, SimulatedFault):
                        armed.append(await self._environment.arm(fault))
                    else:
                        tasks.start_soon(self._inject_redis_fault, fault, redis_back_ms)
                self._report_progress(f"{drill.name}: {drill.fault}")
                noticed = await self._wait_for_signs(drill, drill.noticed_signs, start_ms, names)
                from_ms = noticed.at_ms if noticed else start_ms + drill.duration_ms
                over = await self._wait_for_signs(drill, drill.over_signs, from_ms, names)
                states = await self._environment.fault_states(armed)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._environment.disarm(armed)
        began = [each.first_fired_ms for each in states if each.first_fired_ms is not None]
        return FaultTimeline(
            began_ms=min(began, default=start_ms),
            noticed=noticed,
            redis_back_ms=max(redis_back_ms, default=None),
            over=over,
            fired=tuple(each.fired for each in states) or (1,),
        )

    async def _inject_redis_fault(self, fault: RedisFault, redis_back_ms: list[int]) -> None:
        await self._environment.inject_redis_fault(fault)
        with anyio.move_on_after(SIGN_TIMEOUT_MS / 1000):
            await self._environment.wait_for_redis()
            redis_back_ms.append(self._clock.now_ms())

    async def _wait_for_signs(
        self,
        drill: Drill,
        groups: Sequence[AnySign],
        since_ms: int,
        names: Sequence[InstrumentId],
    ) -> ObservedSign | None:
        if not groups:
            return None
        longest_s = max(drill.targets.noticed_s or 0.0, drill.targets.over_s or 0.0)
        until_ms = max(since_ms, self._clock.now_ms()) + longest_s * 1000 + SIGN_TIMEOUT_MS
        while self._clock.now_ms() < until_ms:
            found = find_signs(self._observer.observations, groups, since_ms, names)
            if found is not None:
                return found
            await self._clock.sleep_ms(_POLL_INTERVAL_MS)
        return None

    def _measure(
        self, drill: Drill, names: Sequence[InstrumentId], timeline: FaultTimeline, remark: str
    ) -> Measurements:
        observations, began_ms = self._observer.observations, timeline.began_ms
        end_ms = timeline.over.at_ms if timeline.over else self._clock.now_ms()
        over_from_ms = timeline.redis_back_ms if drill.over_from_recovery else began_ms
        unaffected = [name for name in names if name.symbol != drill.affected_symbol]
        quotes = observations.quotes_after(names, began_ms)
        return Measurements(
            fired=timeline.fired,
            noticed_s=_seconds(timeline.noticed, began_ms),
            noticed_by=timeline.noticed.by if timeline.noticed else "",
            over_s=None if over_from_ms is None else _seconds(timeline.over, over_from_ms),
            missing=most_missing(quotes, unaffected, began_ms, end_ms + DRAIN_MS),
            wrong=tuple(
                f"{name}: {text}"
                for name, each in quotes.items()
                for text in quote_errors(each, self._books[name])
            ),
            mistimed=max(mistimed_quotes(each, drill.age_max_ms) for each in quotes.values()),
            lost=observations.connections_lost(began_ms),
            late_ms=lateness_ms(quote for each in quotes.values() for quote in each),
            remark=remark,
        )


def _seconds(sign: ObservedSign | None, since_ms: int) -> float | None:
    return None if sign is None else max(0, sign.at_ms - since_ms) / 1000


def _traffic(before: SimulatorState, after: SimulatorState) -> str:
    skipped = sum(
        after.venues[name].frames_skipped - venue.frames_skipped
        for name, venue in before.venues.items()
    )
    text = f", {skipped:,} frames skipped because the socket was not read" if skipped else ""
    return f"{after.updates - before.updates:,} updates{text}"
