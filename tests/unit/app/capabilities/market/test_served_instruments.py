"""A removed instrument: its readers learn why, and nothing of it is kept."""

from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.current_publication import CurrentPublication
from chimera_s1.app.capabilities.market.current_status import ENDED_MAX, CurrentStatus
from chimera_s1.app.capabilities.market.hold_publisher_lease import LEASE_MS, HoldPublisherLease
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import WITHDRAWN_MAX, QuoteBoard
from chimera_s1.app.capabilities.market.served_instruments import ServedInstruments
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.conflation import WindowMs
from chimera_s1.domain.market.liveness import Liveness
from chimera_s1.domain.market.stream_ids import StreamIds
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.publisher_lease import MemoryPublisherLease
from tests.fakes.quote_streams import MemoryQuotePublisher, MemoryQuoteReader, MemoryQuoteStreams
from tests.reachable import paths_to
from tests.sample_quotes import quote
from tests.unit.app.capabilities.market.liveness_rig import BTC, ETH, Rig

UNLISTED = "delisted: the venue does not list it any more"


class Parts:
    """What follows a selection of futures, around a watch over BTC and ETH."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.events: list[tuple[str, EventDetail]] = []
        streams = MemoryQuoteStreams(maxlen=10)
        lease = HoldPublisherLease(
            MemoryPublisherLease(self.rig.clock), "one", self.rig.clock, lambda *_: None
        )
        self.admission = AdmitQuotes(
            lease,
            StreamIds(WindowMs(1000)),
            MemoryQuoteReader(streams),
            clock=self.rig.clock,
            record=lambda *_: None,
            seed_feeds=lambda *_: None,
            on_begin=lambda *_: None,
        )
        self.lease = lease
        self.publication = CurrentPublication()
        self.board = QuoteBoard()
        self.publish = PublishQuotes(
            (),
            MemoryQuotePublisher(streams, WindowMs(1000)),
            self.board,
            clock=self.rig.clock,
            window=WindowMs(1000),
            admission=self.admission,
            observe_latency=lambda _: None,
        )
        self.current = CurrentStatus([self.rig.watch], lease.report, self.rig.clock)
        self.served = ServedInstruments(
            self.admission,
            self.publish,
            self.current,
            self.board,
            [self.rig.watch],
            publication=self.publication,
            record=lambda *event: self.events.append(event),
        )


def test_a_removed_instrument_is_said_on_every_surface() -> None:
    parts = Parts()
    parts.served.add([BTC[0], ETH[0]])
    parts.board.post([quote("perp/BTCUSDT"), quote("perp/ETHUSDT")])
    parts.served.remove(Venue.PERP, [(BTC[0], UNLISTED)])

    status = parts.current.of(BTC[0])
    assert status is not None
    assert (status.state, status.cause) == (Liveness.STALE, UNLISTED)
    assert [each.instrument for each in parts.current.instruments()] == [ETH[0]]
    assert (parts.board.newest(BTC[0]), parts.board.why_withdrawn(BTC[0])) == (None, UNLISTED)
    assert parts.board.newest(ETH[0]) is not None
    assert parts.rig.changed == [BTC[0]]
    assert parts.events == [
        (
            "feed.instruments_removed",
            {
                "venue": "perp",
                "cause": UNLISTED,
                "instruments": "perp/BTCUSDT",
                "instrument_count": 1,
            },
        )
    ]


def test_an_instrument_that_comes_back_is_served_as_a_new_one() -> None:
    parts = Parts()
    parts.served.add([BTC[0]])
    parts.served.remove(Venue.PERP, [(BTC[0], UNLISTED)])
    parts.served.add([BTC[0]])

    status = parts.current.of(BTC[0])
    assert status is not None
    assert status.state is None
    assert parts.board.why_withdrawn(BTC[0]) is None, "its first quote may take minutes"


def test_other_capabilities_see_what_is_served() -> None:
    parts = Parts()
    parts.served.add([BTC[0], ETH[0]])
    parts.served.remove(Venue.PERP, [(BTC[0], UNLISTED)])

    assert parts.publication.served(Venue.PERP) == {"ETHUSDT"}
    assert parts.publication.served(Venue.SPOT) == set()


async def test_other_capabilities_see_each_term_of_publishing() -> None:
    """After a pause that was longer than the lease another instance may have published."""
    parts = Parts()
    terms = [parts.publication.term]
    parts.publication.follow(parts.lease)
    for pause_ms in (0, LEASE_MS + 1):
        await parts.rig.clock.advance(pause_ms)
        terms.append(parts.publication.term)
        await parts.lease.check()
        terms.append(parts.publication.term)

    assert terms == [0, 0, 1, 0, 2]


def test_only_a_bounded_number_of_reasons_is_kept() -> None:
    """Months of listings and delistings do not fill the memory."""
    parts = Parts()
    first = InstrumentId(Venue.PERP, Symbol("A0USDT"))
    for number in range(max(ENDED_MAX, WITHDRAWN_MAX) + 1):
        instrument = InstrumentId(Venue.PERP, Symbol(f"A{number}USDT"))
        parts.served.add([instrument])
        parts.served.remove(Venue.PERP, [(instrument, UNLISTED)])

    assert (parts.current.of(first), parts.board.why_withdrawn(first)) == (None, None)
    for part in (parts.admission, parts.publish, parts.current, parts.board):
        assert paths_to(part, first) == []
