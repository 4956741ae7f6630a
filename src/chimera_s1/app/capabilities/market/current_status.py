"""The status of each instrument of this instance, from the entries of `mkt:status:*`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.market.liveness import Liveness, StatusChange
from chimera_s1.domain.market.publisher_report import PublisherReport
from chimera_s1.domain.ports.clock import Clock

ENDED_MAX = 1_000

NO_MESSAGE_YET = "no message of a connection that carries it yet"


class WatchedVenue(Protocol):
    """`WatchLiveness`, which writes the entries."""

    @property
    def venue(self) -> Venue: ...

    def status(self, instrument: InstrumentId) -> StatusChange | None: ...

    def shared(self) -> Sequence[StatusChange]: ...


class InstrumentStatus(Struct, frozen=True):
    """*state* is None before the first entry; *ts* and *since* are then when it was selected."""

    instrument: InstrumentId
    ts: int
    state: Liveness | None
    since: int
    cause: str


class CurrentStatus:
    """Args:
    publisher: Says which instance writes the streams.
    """

    def __init__(
        self,
        watches: Iterable[WatchedVenue],
        publisher: Callable[[], PublisherReport],
        clock: Clock,
    ) -> None:
        self._watches = {watch.venue: watch for watch in watches}
        self._publisher = publisher
        self._clock = clock
        self._selected: dict[InstrumentId, int] = {}
        self._ended: dict[InstrumentId, InstrumentStatus] = {}

    def select(self, instruments: Iterable[InstrumentId]) -> None:
        """These are served by this instance."""
        now_ms = self._clock.now_ms()
        for instrument in instruments:
            self._selected.setdefault(instrument, now_ms)
            self._ended.pop(instrument, None)

    def end(self, instrument: InstrumentId, cause: str) -> None:
        """*instrument* is not served any more; `of` says why, of the last `ENDED_MAX`."""
        now_ms = self._clock.now_ms()
        self._selected.pop(instrument, None)
        self._ended.pop(instrument, None)
        self._ended[instrument] = InstrumentStatus(
            instrument, now_ms, Liveness.STALE, now_ms, cause
        )
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def publisher(self) -> PublisherReport:
        return self._publisher()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def state(self, instrument: InstrumentId) -> Liveness | None:
        """None if no entry has said it yet."""
        status = self.of(instrument)
        return status.state if status is not None else None

    def of(self, instrument: InstrumentId) -> InstrumentStatus | None:
        """None if this instance does not serve *instrument*, and has not done so lately."""
        entry = self._entry(instrument)
        if entry is not None:
            return InstrumentStatus(instrument, entry.ts, entry.state, entry.since, entry.cause)
        selected_ms = self._selected.get(instrument)
        if selected_ms is None:
            return self._ended.get(instrument)
        return InstrumentStatus(instrument, selected_ms, None, selected_ms, NO_MESSAGE_YET)

    def instruments(self) -> list[InstrumentStatus]:
        """Of all instruments that this instance serves, sorted."""
        found = (self.of(instrument) for instrument in sorted(self._selected))
        return [status for status in found if status is not None]

    def shared(self) -> list[tuple[Venue, StatusChange]]:
        """The entries that hold for whole connections, and the gaps that last."""
        return [(venue, each) for venue, watch in self._watches.items() for each in watch.shared()]

    def _entry(self, instrument: InstrumentId) -> StatusChange | None:
        watch = self._watches.get(instrument.venue)
        return watch.status(instrument) if watch is not None else None
