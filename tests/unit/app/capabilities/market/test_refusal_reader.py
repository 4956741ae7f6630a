"""What was refused since the last reading."""

from chimera_s1.app.capabilities.market.refusal_reader import RefusalReader
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.ports.market_feed import FeedCounters

BTC = (InstrumentId(Venue.PERP, Symbol("BTCUSDT")), "binance.perp.bookTicker")
ETH = (InstrumentId(Venue.PERP, Symbol("ETHUSDT")), "binance.perp.bookTicker")


def test_each_refused_frame_is_read_once() -> None:
    counters, reader = FeedCounters(), RefusalReader()
    counters.refuse(BTC, "crossed")
    counters.refuse(BTC, "crossed")
    counters.refuse(ETH, "malformed")

    assert dict(reader.read_streams(counters)) == {BTC: {"crossed": 2}, ETH: {"malformed": 1}}
    assert list(reader.read_streams(counters)) == []
    counters.refuse(BTC, "crossed")
    counters.refuse(BTC, "empty")
    assert dict(reader.read_streams(counters)) == {BTC: {"crossed": 1, "empty": 1}}
    assert counters.dropped == {"crossed": 3, "malformed": 1, "empty": 1}


def test_messages_for_others_are_not_damage() -> None:
    counters, reader = FeedCounters(), RefusalReader()
    counters.drop_unreadable("perp-0", "unsubscribed")
    counters.drop_unreadable("perp-0", "unintelligible")
    counters.drop_unreadable("perp-1", "unintelligible")

    assert list(reader.read_connections(counters)) == [
        ("perp-0", "unintelligible", 1),
        ("perp-1", "unintelligible", 1),
    ]
    assert list(reader.read_connections(counters)) == []
