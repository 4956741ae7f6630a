"""Runs a drill: waits for calm, lets the fault happen, watches it come and go, and counts."""

from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from chimera_s1.app.cli.drill.drill import AnySign, Drill, RedisFault, SimulatedFault
from chimera_s1.app.cli.drill.environment import (
    DrillEnvironment,
    DrillEnvironmentError,
    SimulatorState,
)
from chimera_s1.app.cli.drill.observations import ObservedSign
from chimera_s1.app.cli.drill.observer import ServiceObserver
from chimera_s1.app.cli.drill.quote_checks import (
    SentBook,
    lateness_ms,
    mistimed_quotes,
    most_missing,
    quote_errors,
)
from chimera_s1.app.cli.drill.result import DrillResult, Measurements, evaluate
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.clock import Clock

BASELINE_TIMEOUT_MS = 90_000
SIGN_TIMEOUT_MS = 10_000
"""How much longer than its target and its fault a sign is waited for."""

DRAIN_MS = 2_500
"""Windows that were open when it was over are written by then."""

_POLL_INTERVAL_MS = 50


class FaultTimeline(Struct, frozen=True):
    """How a fault went.

    Attributes:
        began_ms: When it first happened, local epoch ms.

        noticed: The sign that it was noticed; None where it never came.

        back_ms: When Redis answered again; None where it was not away.

        over: The sign that it was over; None where it never came.

        fired: How often each fault happened.
    """

    began_ms: int
    noticed: ObservedSign | None
    back_ms: int | None
    over: ObservedSign | None
    fired: tuple[int, ...]


class DrillRunner:
    """Runs drills one after the other on one ground."""

    def __init__(
        self,
        ground: DrillEnvironment,
        recorder: ServiceObserver,
        clock: Clock,
        report_progress: Callable[[str], None],
    ) -> None:
        """Args:
        ground: What is drilled.

        recorder: Running.

        clock: Time and waiting.

        report_progress: Told what goes on.
        """
        self._environment = ground
        self._recorder = recorder
        self._clock = clock
        self._say = report_progress
        self._books: dict[InstrumentId, frozenset[SentBook]] = {}

    async def run(self, drill: Drill) -> DrillResult:
        """Run *drill*.

        Raises:
            DrillGroundError: The service does not come to rest, so nothing can be measured.
        """
        self._say(f"{drill.name}: waiting for calm")
        baseline = await self._wait_for_baseline()
        await self._load_books(baseline)
        before = await self._environment.simulator_state()
        course = await self._run_fault(drill, baseline)
        self._say(f"{drill.name}: counting")
        await self._clock.sleep_ms(DRAIN_MS)
        after = await self._environment.simulator_state()
        remark = _sent(before, after)
        return evaluate(drill, self._measure(drill, baseline, course, remark))

    async def _wait_for_baseline(self) -> tuple[InstrumentId, ...]:
        """Wait until all is GREEN and quotes come in every window; the instruments that
        have them.
        """
        until_ms = self._clock.monotonic_ms() + BASELINE_TIMEOUT_MS
        while self._clock.monotonic_ms() < until_ms:
            baseline = self._recorder.observations.baseline(self._clock.now_ms())
            if baseline and not self._unhealthy():
                return baseline
            await self._clock.sleep_ms(_POLL_INTERVAL_MS)
        unwell = ", ".join(self._unhealthy()) or "no instrument has a quote in every window"
        raise DrillEnvironmentError(
            f"the service did not come to rest within {BASELINE_TIMEOUT_MS / 1000:.0f} s: "
            f"{unwell}; "
            f"{self._environment.target.url}/health says more"
        )

    def _unhealthy(self) -> list[str]:
        health = self._recorder.observations.health
        if not health or not health[-1].levels:
            return [f"{self._environment.target.url} does not answer"]
        levels = health[-1].levels
        return [f"{name} is {level}" for name, level in levels.items() if level != "GREEN"]

    async def _load_books(self, baseline: Sequence[InstrumentId]) -> None:
        for name in baseline:
            if name not in self._books:
                self._books[name] = await self._environment.books(name)

    async def _run_fault(self, drill: Drill, baseline: Sequence[InstrumentId]) -> FaultTimeline:
        armed: list[int] = []
        back_ms: list[int] = []
        mark_ms = self._clock.now_ms()
        async with anyio.create_task_group() as tasks:
            try:
                for fault in drill.faults:
                    if isinstance(fault, SimulatedFault):
                        armed.append(await self._environment.arm(fault))
                    else:
                        tasks.start_soon(self._inject_redis_fault, fault, back_ms)
                self._say(f"{drill.name}: {drill.fault}")
                noticed = await self._wait_for_sign(drill, drill.noticed_signs, mark_ms, baseline)
                from_ms = noticed.at_ms if noticed else mark_ms + drill.duration_ms
                over = await self._wait_for_sign(drill, drill.over_signs, from_ms, baseline)
                states = await self._environment.fault_states(armed)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._environment.disarm(armed)
        began = [each.first_fired_ms for each in states if each.first_fired_ms is not None]
        return FaultTimeline(
            began_ms=min(began, default=mark_ms),
            noticed=noticed,
            back_ms=max(back_ms, default=None),
            over=over,
            fired=tuple(each.fired for each in states) or (1,),
        )

    async def _inject_redis_fault(self, fault: RedisFault, back_ms: list[int]) -> None:
        await self._environment.inject_redis_fault(fault)
        with anyio.move_on_after(SIGN_TIMEOUT_MS / 1000):
            await self._environment.wait_for_redis()
            back_ms.append(self._clock.now_ms())

    async def _wait_for_sign(
        self,
        drill: Drill,
        groups: Sequence[AnySign],
        since_ms: int,
        baseline: Sequence[InstrumentId],
    ) -> ObservedSign | None:
        if not groups:
            return None
        targets = drill.targets
        longest_s = max(targets.noticed_s or 0.0, targets.over_s or 0.0)
        until_ms = max(since_ms, self._clock.now_ms()) + longest_s * 1000 + SIGN_TIMEOUT_MS
        while self._clock.now_ms() < until_ms:
            found = self._recorder.observations.first_signs(groups, since_ms, baseline)
            if found is not None:
                return found
            await self._clock.sleep_ms(_POLL_INTERVAL_MS)
        return None

    def _measure(
        self, drill: Drill, baseline: Sequence[InstrumentId], course: FaultTimeline, remark: str
    ) -> Measurements:
        record, began_ms = self._recorder.observations, course.began_ms
        end_ms = course.over.at_ms if course.over else self._clock.now_ms()
        unaffected = [name for name in baseline if name.symbol != drill.affected_symbol]
        seen = {
            name: [quote for quote in record.quotes[name] if quote.at_ms > began_ms]
            for name in baseline
        }
        wrong = [
            f"{name}: {text}"
            for name, quotes in seen.items()
            for text in quote_errors(quotes, self._books[name])
        ]
        over_from_ms = course.back_ms if drill.over_from_recovery else began_ms
        return Measurements(
            fired=course.fired,
            noticed_s=_seconds(course.noticed, began_ms),
            noticed_by=course.noticed.by if course.noticed else "",
            over_s=None if over_from_ms is None else _seconds(course.over, over_from_ms),
            missing=most_missing(seen, unaffected, began_ms, end_ms + DRAIN_MS),
            wrong=tuple(wrong),
            mistimed=max(mistimed_quotes(quotes, drill.age_max_ms) for quotes in seen.values()),
            lost=record.connections_lost(began_ms),
            late_ms=lateness_ms(quote for quotes in seen.values() for quote in quotes),
            remark=remark,
        )


def _seconds(sign: ObservedSign | None, since_ms: int) -> float | None:
    return None if sign is None else max(0, sign.at_ms - since_ms) / 1000


def _sent(before: SimulatorState, after: SimulatorState) -> str:
    skipped = sum(
        after.venues[name].frames_skipped - venue.frames_skipped
        for name, venue in before.venues.items()
    )
    unread = f", {skipped:,} frames left out because nobody read them" if skipped else ""
    return f"{after.updates - before.updates:,} updates{unread}"
