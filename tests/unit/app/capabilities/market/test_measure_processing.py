"""The time from receipt to acknowledgement, as reported beside each round trip."""

from chimera_s1.app.capabilities.market.measure_processing import SAMPLES_MAX, MeasureProcessing
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.quote import Quote
from chimera_s1.domain.ports.market_feed import ConnectionRenewed, FeedEvent, RoundTrip
from tests.fakes.manual_clock import ManualClock

BTC = InstrumentId(Venue.PERP, Symbol("BTCUSDT"))


class Processing:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.measure = MeasureProcessing(self.clock)

    def acknowledged(self, *ages_ms: int) -> None:
        now = self.clock.now_ms()
        self.measure.observe(
            [Quote(BTC, now, 1.0, 1.0, 2.0, 1.0, "source", 1, now - age) for age in ages_ms]
        )

    def reported(self, name: str, venue: Venue = Venue.PERP) -> float | None:
        event = self.measure.complete(RoundTrip(name, venue, 1.0))
        assert isinstance(event, RoundTrip)
        return event.process_ms


def test_it_is_the_median_since_the_last_report_of_the_connection() -> None:
    """Two connections of a venue do not take samples from each other."""
    processing = Processing()
    processing.acknowledged(10, 900, 20)
    assert processing.reported("perp-0") == 20
    processing.acknowledged(400)
    assert processing.reported("perp-1") == 210
    assert processing.reported("perp-0") == 400


def test_without_an_acknowledged_entry_it_is_not_measured() -> None:
    """Another venue's entries do not count."""
    processing = Processing()
    processing.acknowledged(10)
    assert processing.reported("spot-0", Venue.SPOT) is None
    assert processing.reported("perp-0") == 10
    assert processing.reported("perp-0") is None


def test_a_clock_step_and_many_samples_are_bounded() -> None:
    processing = Processing()
    processing.acknowledged(-50, -50, -50)
    assert processing.reported("perp-0") == 0
    processing.acknowledged(*[1] * SAMPLES_MAX, *[7] * SAMPLES_MAX)
    assert processing.reported("perp-0") == 7


def test_other_events_are_passed_on() -> None:
    event: FeedEvent = ConnectionRenewed("perp-0", Venue.PERP, "age")
    assert Processing().measure.complete(event) is event
