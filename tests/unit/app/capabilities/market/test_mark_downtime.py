"""GAP and RESUMED around the time in which no instance published."""

from collections.abc import Sequence

from chimera_s1.app.capabilities.market.mark_downtime import CAUSE, MarkDowntime
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.liveness import StatusChange
from chimera_s1.domain.market.quote import Quote
from tests.fakes.manual_clock import ManualClock
from tests.sample_quotes import quote

NOW_MS = 1_000_000
LAST_MS = NOW_MS - 9_000


class Rig:
    def __init__(self) -> None:
        self.written: list[StatusChange] = []
        self.marks = MarkDowntime(Venue.SPOT, self.put, ManualClock(NOW_MS))

    def put(self, changes: Sequence[StatusChange]) -> None:
        self.written += changes

    def markers(self) -> list[tuple[str, int, int]]:
        assert {(each.symbol, each.cause) for each in self.written} <= {("*", CAUSE)}
        return [(each.state.value, each.ts, each.since) for each in self.written]


def received_at(received_ms: int, venue: Venue = Venue.SPOT) -> Quote:
    return quote(f"{venue.value}/BTCUSDT", ts=received_ms)


def test_a_start_marks_the_gap_since_the_last_entry_at_once() -> None:
    """RESUMED follows with the first quote of the venue that is published, and repeats `since`."""
    rig = Rig()
    rig.marks.begin(LAST_MS, 0)
    assert rig.markers() == [("GAP", NOW_MS, LAST_MS)]

    rig.marks.observe_published([received_at(NOW_MS + 1, Venue.PERP)])
    rig.marks.observe_received([received_at(NOW_MS + 2)])
    assert len(rig.written) == 1

    rig.marks.observe_published([received_at(NOW_MS + 70), received_at(NOW_MS + 50)])
    rig.marks.observe_published([received_at(NOW_MS + 99)])
    assert rig.markers()[1:] == [("RESUMED", NOW_MS + 50, LAST_MS)]


def test_the_first_start_of_all_marks_nothing() -> None:
    rig = Rig()
    rig.marks.begin(0, 0)
    rig.marks.observe_received([received_at(NOW_MS)])
    rig.marks.observe_published([received_at(NOW_MS)])

    assert not rig.written


def test_a_standby_that_has_every_update_marks_nothing() -> None:
    rig = Rig()
    rig.marks.observe_received([received_at(LAST_MS)])
    rig.marks.begin(LAST_MS, 0)
    rig.marks.observe_published([received_at(LAST_MS + 1)])

    assert not rig.written


def test_a_standby_that_started_too_late_marks_what_is_missing() -> None:
    rig = Rig()
    rig.marks.observe_received([received_at(LAST_MS + 300)])
    rig.marks.begin(LAST_MS, 0)
    assert len(rig.written) == 1
    rig.marks.observe_published([received_at(LAST_MS + 300)])

    assert rig.markers() == [("GAP", LAST_MS + 300, LAST_MS), ("RESUMED", LAST_MS + 300, LAST_MS)]


def test_a_standby_that_has_dropped_updates_marks_what_is_missing() -> None:
    rig = Rig()
    rig.marks.observe_received([received_at(LAST_MS - 60_000)])
    rig.marks.begin(LAST_MS, LAST_MS + 4_000)
    rig.marks.observe_published([received_at(LAST_MS + 4_000)])

    assert rig.markers() == [
        ("GAP", LAST_MS + 4_000, LAST_MS),
        ("RESUMED", LAST_MS + 4_000, LAST_MS),
    ]


def test_a_stop_and_the_next_start_name_the_same_gap() -> None:
    stopping, starting = Rig(), Rig()
    stopping.marks.observe_received([received_at(LAST_MS - 60_000)])
    stopping.marks.end(LAST_MS)
    starting.marks.begin(LAST_MS, 0)

    assert stopping.markers() == starting.markers() == [("GAP", NOW_MS, LAST_MS)]


def test_a_gap_is_not_written_before_its_begin() -> None:
    """The last id is the end of a window that is not over yet."""
    rig = Rig()
    rig.marks.begin(NOW_MS + 400, 0)
    rig.marks.observe_published([received_at(NOW_MS + 450)])

    since_ms = NOW_MS + 400
    assert rig.markers() == [("GAP", since_ms, since_ms), ("RESUMED", NOW_MS + 450, since_ms)]


def test_a_stop_before_the_first_entry_marks_nothing() -> None:
    rig = Rig()
    rig.marks.end(0)

    assert not rig.written
