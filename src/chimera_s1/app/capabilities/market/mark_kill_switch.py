"""Mark on `mkt:status:<venue>` that the kill switch stops or slows publication.

GAP when it is on. RESUMED repeats its `since` and `cause`, once Redis has acknowledged a quote of
the venue after the switch was released.
"""

from collections.abc import Callable, Iterable, Sequence

from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import WHOLE_CONNECTION, Liveness, StatusChange
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.clock import Clock


def kill_switch_cause(slow_ms: int | None) -> str:
    effect = "stops publication" if slow_ms is None else f"allows one write every {slow_ms} ms"
    return f"kill_switch: the operator's kill switch {effect}"


class MarkKillSwitch:
    """Args:
    put: For each venue, queues changes for its `mkt:status:<venue>`.
    publishing: Whether this instance writes the streams; a standby keeps its own view.
    """

    def __init__(
        self,
        switch: WatchKillSwitch,
        put: dict[Venue, Callable[[Sequence[StatusChange]], None]],
        clock: Clock,
        *,
        publishing: Callable[[], bool],
        cause: str,
    ) -> None:
        self._switch = switch
        self._put = put
        self._clock = clock
        self._publishing = publishing
        self._cause = cause
        self._open: dict[Venue, int] = {}

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
            for venue, since_ms in self._open.items():
                self._put[venue]([self._marker(Liveness.GAP, since_ms, since_ms)])

    def observe_received(self, quotes: Iterable[Quote]) -> None:
        """A standby gets no acknowledgements: what it receives ends its GAP."""
        if self._open and not self._publishing():
            self.observe_published(quotes)

    def observe_published(self, quotes: Iterable[Quote]) -> None:
        """The first quotes of a venue acknowledged after the release end its GAP."""
        if not self._open or self._switch.position:
            return
        for venue in {quote.instrument.venue for quote in quotes} & self._open.keys():
            since_ms = self._open.pop(venue)
            at_ms = max(since_ms, self._clock.now_ms())
            self._put[venue]([self._marker(Liveness.RESUMED, at_ms, since_ms)])

    def _mark_gap(self) -> None:
        now_ms = self._clock.now_ms()
        for venue, put in self._put.items():
            if venue not in self._open:
                self._open[venue] = now_ms
                put([self._marker(Liveness.GAP, now_ms, now_ms)])

    def _marker(self, state: Liveness, at_ms: int, since_ms: int) -> StatusChange:
        return StatusChange(at_ms, WHOLE_CONNECTION, state, since_ms, self._cause)
