"""Runs a drill: waits for calm, lets the fault happen, watches it come and go, and counts."""

from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from chimera_s1.app.cli.drill.drill import AnyOf, Drill, RedisFault, SimulatedFault
from chimera_s1.app.cli.drill.environment import DrillGroundError, Ground, SimulatorState
from chimera_s1.app.cli.drill.observations import Noticed
from chimera_s1.app.cli.drill.observer import Recorder
from chimera_s1.app.cli.drill.quote_checks import (
    Book,
    lateness_ms,
    mistimed_quotes,
    most_missing,
    wrong_quotes,
)
from chimera_s1.app.cli.drill.result import Measured, Row, judge
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.ports.clock import Clock

CALM_PATIENCE_MS = 90_000
PATIENCE_MS = 10_000
"""How much longer than its target and its fault a sign is waited for."""

AFTERWARDS_MS = 2_500
"""Windows that were open when it was over are written by then."""

_LOOK_MS = 50


class Course(Struct, frozen=True):
    """How a fault went.

    Attributes:
        began_ms: When it first happened, local epoch ms.

        noticed: The sign that it was noticed; None where it never came.

        back_ms: When Redis answered again; None where it was not away.

        over: The sign that it was over; None where it never came.

        fired: How often each fault happened.
    """

    began_ms: int
    noticed: Noticed | None
    back_ms: int | None
    over: Noticed | None
    fired: tuple[int, ...]


class Practice:
    """Runs drills one after the other on one ground."""

    def __init__(
        self, ground: Ground, recorder: Recorder, clock: Clock, say: Callable[[str], None]
    ) -> None:
        """Args:
        ground: What is drilled.

        recorder: Running.

        clock: Time and waiting.

        say: Told what goes on.
        """
        self._ground = ground
        self._recorder = recorder
        self._clock = clock
        self._say = say
        self._books: dict[InstrumentId, frozenset[Book]] = {}

    async def run(self, drill: Drill) -> Row:
        """Run *drill*.

        Raises:
            DrillGroundError: The service does not come to rest, so nothing can be measured.
        """
        self._say(f"{drill.name}: waiting for calm")
        baseline = await self._calm()
        await self._know_books(baseline)
        before = await self._ground.simulator_state()
        course = await self._go_through(drill, baseline)
        self._say(f"{drill.name}: counting")
        await self._clock.sleep_ms(AFTERWARDS_MS)
        after = await self._ground.simulator_state()
        remark = _sent(before, after)
        return judge(drill, self._measure(drill, baseline, course, remark))

    async def _calm(self) -> tuple[InstrumentId, ...]:
        """Wait until all is GREEN and quotes come in every window; the instruments that
        have them.
        """
        until_ms = self._clock.monotonic_ms() + CALM_PATIENCE_MS
        while self._clock.monotonic_ms() < until_ms:
            baseline = self._recorder.record.baseline(self._clock.now_ms())
            if baseline and not self._unwell():
                return baseline
            await self._clock.sleep_ms(_LOOK_MS)
        unwell = ", ".join(self._unwell()) or "no instrument has a quote in every window"
        raise DrillGroundError(
            f"the service did not come to rest within {CALM_PATIENCE_MS / 1000:.0f} s: {unwell}; "
            f"{self._ground.place.url}/health says more"
        )

    def _unwell(self) -> list[str]:
        health = self._recorder.record.health
        if not health or not health[-1].levels:
            return [f"{self._ground.place.url} does not answer"]
        levels = health[-1].levels
        return [f"{name} is {level}" for name, level in levels.items() if level != "GREEN"]

    async def _know_books(self, baseline: Sequence[InstrumentId]) -> None:
        for name in baseline:
            if name not in self._books:
                self._books[name] = await self._ground.books(name)

    async def _go_through(self, drill: Drill, baseline: Sequence[InstrumentId]) -> Course:
        armed: list[int] = []
        back_ms: list[int] = []
        mark_ms = self._clock.now_ms()
        async with anyio.create_task_group() as tasks:
            try:
                for fault in drill.faults:
                    if isinstance(fault, SimulatedFault):
                        armed.append(await self._ground.arm(fault))
                    else:
                        tasks.start_soon(self._strike_redis, fault, back_ms)
                self._say(f"{drill.name}: {drill.fault}")
                noticed = await self._sign(drill, drill.noticed, mark_ms, baseline)
                from_ms = noticed.at_ms if noticed else mark_ms + drill.lasts_ms
                over = await self._sign(drill, drill.over, from_ms, baseline)
                states = await self._ground.fault_states(armed)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._ground.disarm(armed)
        began = [each.first_fired_ms for each in states if each.first_fired_ms is not None]
        return Course(
            began_ms=min(began, default=mark_ms),
            noticed=noticed,
            back_ms=max(back_ms, default=None),
            over=over,
            fired=tuple(each.fired for each in states) or (1,),
        )

    async def _strike_redis(self, fault: RedisFault, back_ms: list[int]) -> None:
        await self._ground.strike_redis(fault)
        with anyio.move_on_after(PATIENCE_MS / 1000):
            await self._ground.redis_back()
            back_ms.append(self._clock.now_ms())

    async def _sign(
        self, drill: Drill, groups: Sequence[AnyOf], since_ms: int, baseline: Sequence[InstrumentId]
    ) -> Noticed | None:
        if not groups:
            return None
        targets = drill.targets
        longest_s = max(targets.noticed_s or 0.0, targets.over_s or 0.0)
        until_ms = max(since_ms, self._clock.now_ms()) + longest_s * 1000 + PATIENCE_MS
        while self._clock.now_ms() < until_ms:
            found = self._recorder.record.seen(groups, since_ms, baseline)
            if found is not None:
                return found
            await self._clock.sleep_ms(_LOOK_MS)
        return None

    def _measure(
        self, drill: Drill, baseline: Sequence[InstrumentId], course: Course, remark: str
    ) -> Measured:
        record, began_ms = self._recorder.record, course.began_ms
        end_ms = course.over.at_ms if course.over else self._clock.now_ms()
        spared = [name for name in baseline if name.symbol != drill.spared]
        seen = {
            name: [quote for quote in record.quotes[name] if quote.at_ms > began_ms]
            for name in baseline
        }
        wrong = [
            f"{name}: {text}"
            for name, quotes in seen.items()
            for text in wrong_quotes(quotes, self._books[name])
        ]
        over_from_ms = course.back_ms if drill.counted_from_return else began_ms
        return Measured(
            fired=course.fired,
            noticed_s=_seconds(course.noticed, began_ms),
            noticed_by=course.noticed.by if course.noticed else "",
            over_s=None if over_from_ms is None else _seconds(course.over, over_from_ms),
            missing=most_missing(seen, spared, began_ms, end_ms + AFTERWARDS_MS),
            wrong=tuple(wrong),
            mistimed=max(mistimed_quotes(quotes, drill.age_max_ms) for quotes in seen.values()),
            lost=record.lost(began_ms),
            late_ms=lateness_ms(quote for quotes in seen.values() for quote in quotes),
            remark=remark,
        )


def _seconds(sign: Noticed | None, since_ms: int) -> float | None:
    return None if sign is None else max(0, sign.at_ms - since_ms) / 1000


def _sent(before: SimulatorState, after: SimulatorState) -> str:
    skipped = sum(
        after.venues[name].frames_skipped - venue.frames_skipped
        for name, venue in before.venues.items()
    )
    unread = f", {skipped:,} frames left out because nobody read them" if skipped else ""
    return f"{after.updates - before.updates:,} updates{unread}"
