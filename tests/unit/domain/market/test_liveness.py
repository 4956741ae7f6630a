"""Liveness compares silence with each stream's usual interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.market.interval_estimator import IntervalEstimator
from chimera_s1.domain.market.liveness import (
    BLIND_FLOOR_MS,
    FIRST_MESSAGE_TIMEOUT_MS,
    QUIET_FLOOR_MS,
    SUSPECT_FLOOR_MS,
    ConnectionLiveness,
    Liveness,
    StreamLiveness,
    worst_liveness,
)
from chimera_s1.domain.market.probe_verdict import PROBE_INTERVAL_MS, ProbeVerdict

KEY = (InstrumentId(Venue.SPOT, Symbol("BTCUSDT")), "binance.spot.bookTicker")
START = 1_000_000.0
ORDER = (
    Liveness.LIVE,
    Liveness.QUIET,
    Liveness.LATE,
    Liveness.DEGRADED,
    Liveness.STALE,
    Liveness.BLIND,
)


def stream(gap_ms: float = 1_000.0, updates: int = 40) -> tuple[StreamLiveness, float]:
    """A stream with an update every *gap_ms*, and the time of the last one."""
    live = StreamLiveness(KEY, START)
    at = START
    for _ in range(updates):
        at += gap_ms
        live.record_update(at)
    live.update_state(at, connection_blind=False, others_active=True)
    return live, at


def state_of(live: StreamLiveness) -> Liveness | None:
    """Read in a function: after an assert the type checker assumes the value is fixed."""
    return live.state


@given(gap_ms=st.floats(1, 600_000), updates=st.integers(60, 120))
def test_steady_interval_is_learned(gap_ms: float, updates: int) -> None:
    """After many equal gaps, the usual silence is that gap and little more."""
    rhythm = IntervalEstimator()
    for number in range(updates):
        rhythm.record(number * gap_ms)

    assert gap_ms == pytest.approx(rhythm.expected_silence_ms, rel=0.05)


@given(gaps=st.lists(st.floats(0, 100_000), min_size=1, max_size=50))
def test_expected_silence_is_bounded_by_the_gaps(gaps: list[float]) -> None:
    """It stays within what the gaps seen can explain."""
    rhythm, at = IntervalEstimator(), 0.0
    rhythm.record(at)
    for gap in gaps:
        at += gap
        rhythm.record(at)

    assert 0 <= rhythm.expected_silence_ms <= 5 * max(gaps) + 1e-6


def test_outage_is_not_learned_as_an_interval() -> None:
    """The gap across an interruption is not the market's."""
    rhythm = IntervalEstimator()
    for number in range(40):
        rhythm.record(number * 1_000.0)
    before = rhythm.expected_silence_ms
    rhythm.mark_interrupted()
    rhythm.record(3_600_000.0)

    assert before == rhythm.expected_silence_ms
    assert rhythm.last_ms == 3_600_000.0


def test_stale_silence_is_not_learned_as_an_interval() -> None:
    """It was a fault and not the market: the next silence is noticed as soon as the first."""
    live, last = stream()
    before = live.interval.expected_silence_ms
    live.record_probe(last + 10_000, ProbeVerdict.MOVED)
    live.record_update(last + 15_000)

    assert live.interval.expected_silence_ms == before


@pytest.mark.parametrize(
    ("gap_ms", "quiet_after_ms", "suspect_after_ms"),
    [(100.0, QUIET_FLOOR_MS, SUSPECT_FLOOR_MS), (60_000.0, 120_000, 180_000)],
)
def test_silence_limits_follow_each_streams_interval(
    gap_ms: float, quiet_after_ms: float, suspect_after_ms: float
) -> None:
    """A busy pair is quiet after seconds, an illiquid one after minutes; suspect later."""
    live, at = stream(gap_ms, updates=80)
    live.update_state(at + quiet_after_ms * 0.95, connection_blind=False, others_active=True)
    assert Liveness.LIVE is state_of(live)
    live.update_state(at + quiet_after_ms * 1.05, connection_blind=False, others_active=True)
    assert Liveness.QUIET is state_of(live)
    assert at == live.since_ms
    assert not live.is_suspect(at + suspect_after_ms * 0.95)
    assert live.is_suspect(at + suspect_after_ms * 1.05)


def test_only_a_probe_sets_stale_and_only_an_update_ends_it() -> None:
    """Silence alone is never STALE; time alone does not cure it."""
    live, at = stream()
    live.update_state(at + 3_600_000, connection_blind=False, others_active=True)
    assert Liveness.QUIET is state_of(live)
    live.record_probe(at + 3_600_000, ProbeVerdict.MOVED)
    live.update_state(at + 3_700_000, connection_blind=False, others_active=True)
    assert Liveness.STALE is state_of(live)
    live.record_update(at + 3_700_001)
    live.update_state(at + 3_700_002, connection_blind=False, others_active=True)
    assert Liveness.LIVE is state_of(live)


def test_a_calm_book_is_probed_again_only_after_a_pause() -> None:
    """The venue is not probed at every evaluation."""
    live, at = stream()
    live.record_probe(at + 6_000, ProbeVerdict.CALM)

    assert Liveness.QUIET is state_of(live)
    assert not live.is_suspect(at + 6_000 + PROBE_INTERVAL_MS - 1)
    assert live.is_suspect(at + 6_000 + PROBE_INTERVAL_MS)


def test_stream_without_first_message_becomes_suspect() -> None:
    """An acknowledged subscription proves nothing."""
    live = StreamLiveness(KEY, START)
    live.update_state(START + FIRST_MESSAGE_TIMEOUT_MS, connection_blind=False, others_active=True)
    assert live.state is None
    assert not live.is_suspect(START + FIRST_MESSAGE_TIMEOUT_MS)
    live.update_state(
        START + FIRST_MESSAGE_TIMEOUT_MS + 1, connection_blind=False, others_active=True
    )
    assert Liveness.QUIET is state_of(live)
    assert live.is_suspect(START + FIRST_MESSAGE_TIMEOUT_MS + 1)


def test_reconnect_restarts_silence_but_blind_stays_until_an_update() -> None:
    """A new connection gets the time of a first message; it is not LIVE by being new."""
    live, at = stream()
    live.update_state(at + 5_000, connection_blind=True, others_active=True)
    live.mark_resubscribed(at + 60_000)
    live.update_state(at + 60_001, connection_blind=False, others_active=True)
    assert Liveness.BLIND is state_of(live)
    assert not live.is_suspect(at + 60_001)
    live.record_update(at + 60_500)
    live.update_state(at + 60_501, connection_blind=False, others_active=True)
    assert Liveness.LIVE is state_of(live)


def test_streams_that_fall_silent_together_are_not_quiet() -> None:
    """If no other stream of the connection delivers, the state of the connection decides."""
    live, at = stream()
    live.update_state(at + 3_000, connection_blind=False, others_active=False)

    assert Liveness.LIVE is state_of(live)


def test_connection_silence_follows_its_own_interval() -> None:
    """A busy connection after its floor, one with a slow stream after a multiple of its gaps."""
    for gap_ms, patience_ms in ((50.0, BLIND_FLOOR_MS), (10_000.0, 30_000.0)):
        connection = ConnectionLiveness()
        connection.mark_opened(START)
        at = START
        for _ in range(80):
            at += gap_ms
            connection.interval.record(at)

        assert not connection.is_silent(at + patience_ms * 0.95)
        assert connection.is_silent(at + patience_ms * 1.05)
    connection.mark_closed()
    assert not connection.is_silent(at + 1e9), "a closed one is not silent"


@given(states=st.lists(st.sampled_from([None, *ORDER]), max_size=5))
def test_instrument_state_is_the_worst_of_its_streams(states: list[Liveness | None]) -> None:
    """Unknown ones do not count."""
    known = [state for state in states if state is not None]
    expected = max(known, key=ORDER.index) if known else None

    assert expected is worst_liveness(states)
