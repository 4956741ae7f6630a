"""When the quotes of a stream are late."""

from chimera_s1.domain.market.lateness import CONFIRM_MS, LATE_MS, Lateness


def test_quotes_that_all_lag_are_late() -> None:
    lateness = Lateness()
    for at_ms in range(0, CONFIRM_MS + 1, 500):
        lateness.record(LATE_MS, at_ms)
    assert not lateness.is_late(CONFIRM_MS - 1)
    assert lateness.is_late(CONFIRM_MS)


def test_one_odd_event_time_changes_nothing() -> None:
    """However long it stays the newest one."""
    lateness = Lateness()
    lateness.record(50, 0)
    lateness.record(3_600_000, 100)
    assert not lateness.is_late(60_000)


def test_a_quote_in_time_ends_it() -> None:
    lateness = Lateness()
    for at_ms in (0, 3_000):
        lateness.record(9_000, at_ms)
    assert lateness.is_late(3_000)
    lateness.record(LATE_MS - 1, 3_100)
    assert not lateness.is_late(3_100)


def test_without_an_event_time_the_lag_is_unknown() -> None:
    """It is not guessed from earlier quotes."""
    lateness = Lateness()
    for at_ms in (0, 3_000):
        lateness.record(9_000, at_ms)
    lateness.record(None, 3_100)
    assert lateness.lag_ms is None
    assert not lateness.is_late(9_000)
