"""Everything that keeps something about each served instrument follows the selection."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.current_publication import CurrentPublication
from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.ports.operations_log import EventDetail

_NAMES_SHOWN = 20


class ServedInstruments:
    """Implements `serve_feed.SelectionFollower`.

    Args:
        record: Queues an event for `ops:events`.
    """

    def __init__(
        self,
        admission: AdmitQuotes,
        publish: PublishQuotes,
        current: CurrentStatus,
        board: QuoteBoard,
        watches: Iterable[WatchLiveness],
        *,
        publication: CurrentPublication,
        record: Callable[[str, EventDetail], None],
    ) -> None:
        self._admission = admission
        self._publish = publish
        self._current = current
        self._board = board
        self._watches = {watch.venue: watch for watch in watches}
        self._publication = publication
        self._record = record

    def add(self, instruments: Sequence[InstrumentId]) -> None:
        self._admission.expect(instruments)
        self._current.select(instruments)
        self._board.readmit(instruments)
        self._publication.add(instruments)

    def remove(self, venue: Venue, removed: Sequence[tuple[InstrumentId, str]]) -> None:
        by_cause: dict[str, dict[InstrumentId, None]] = {}
        for instrument, cause in removed:
            by_cause.setdefault(cause, {})[instrument] = None
        for cause, instruments in by_cause.items():
            self._admission.forget(instruments)
            self._publish.forget(instruments)
            self._publication.remove(instruments)
            for instrument in instruments:
                self._current.end(instrument, cause)
            self._board.withdraw(instruments, cause)
            self._watches[venue].end(instruments, cause)
            self._record(
                "feed.instruments_removed",
                {
                    "venue": venue.value,
                    "cause": cause,
                    "instruments": ", ".join(map(str, islice(instruments, _NAMES_SHOWN))),
                    "instrument_count": len(instruments),
                },
            )
