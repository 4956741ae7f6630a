"""Mark on `mkt:status:<venue>` that the kill switch stops or slows publication.

GAP when it is on. RESUMED repeats its `since` and `cause`, once Redis has acknowledged a quote of
the venue after the switch was released. A publisher that died under the switch has left its GAP
open: the next one ends that, too.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from chimera_s1.app.capabilities.operations.outbox import REDIS_ERRORS
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.market_status import OpenGaps

READ_AGAIN_MS = 1_000.0
_CAUSE = "kill_switch: "


def kill_switch_cause(slow_ms: int | None) -> str:
    effect = "stops publication" if slow_ms is None else f"allows one write every {slow_ms} ms"
    return f"{_CAUSE}the operator's kill switch {effect}"


class MarkKillSwitch:
    """Args:
    put: For each venue, queues changes for its `mkt:status:<venue>`.
    written: What is on these streams.
    publishing: Whether this instance writes the streams; a standby keeps its own view.
    """

    def __init__(
        self,
        switch: WatchKillSwitch,
        put: dict[Venue, Callable[[Sequence[StatusChange]], None]],
        written: OpenGaps,
        clock: Clock,
        *,
        publishing: Callable[[], bool],
        cause: str,
    ) -> None:
        self._switch = switch
        self._put = put
        self._written = written
        self._clock = clock
        self._publishing = publishing
        self._cause = cause
        self._begun = ChangeSignal()
        self._open: dict[Venue, list[StatusChange]] = {}

    async def run(self) -> None:
        """Mark changes of the switch until cancelled."""
        while True:
            version = self._switch.changes.version
            if self._switch.position:
                self._mark_gap()
            await self._switch.changes.next_after(version)

    def begin(self) -> None:
        """Repeat what lasts: this instance begins to write the streams."""
        if self._switch.position:
            for venue, gaps in self._open.items():
                self._put[venue](gaps)
        self._begun.notify()

    async def inherit(self) -> None:
        """Find what earlier publishers have left open, each time this instance begins to write the
        streams, until cancelled.
        """
        version = 0
        while True:
            await self._begun.next_after(version)
            version = self._begun.version
            for venue in self._put:
                left = await self._left_open(venue)
                known = self._open.get(venue, [])
                if unknown := [gap for gap in left if gap not in known]:
                    self._open[venue] = [*known, *unknown]

    def observe_received(self, quotes: Iterable[Quote]) -> None:
        """A standby gets no acknowledgements: what it receives ends its GAP."""
        if self._open and not self._publishing():
            self.observe_published(quotes)

    def observe_published(self, quotes: Iterable[Quote]) -> None:
        """The first quotes of a venue acknowledged after the release end its GAP."""
        if not self._open or self._switch.position:
            return
        for venue in {quote.instrument.venue for quote in quotes} & self._open.keys():
            self._put[venue](
                [
                    replace(gap, state=Liveness.RESUMED, ts=max(gap.since, self._clock.now_ms()))
                    for gap in self._open.pop(venue)
                ]
            )

    def _mark_gap(self) -> None:
        now_ms = self._clock.now_ms()
        for venue, put in self._put.items():
            if venue not in self._open:
                gap = StatusChange(now_ms, WHOLE_CONNECTION, Liveness.GAP, now_ms, self._cause)
                self._open[venue] = [gap]
                put([gap])

    async def _left_open(self, venue: Venue) -> tuple[StatusChange, ...]:
        while True:
            try:
                return await self._written.open_gaps(venue, _CAUSE)
            except REDIS_ERRORS:
                await self._clock.sleep_ms(READ_AGAIN_MS)
