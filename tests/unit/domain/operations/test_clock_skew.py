"""Clock skew: midpoint offsets, availability and percentiles."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.operations.clock_skew import (
    ClockSample,
    ClockSkew,
    SkewWindow,
    percentile,
)
from tests.unit.domain.strategies import epoch_ms

rtts = st.integers(0, 60_000)


@st.composite
def probes(draw: st.DrawFn) -> ClockSample:
    sent = draw(epoch_ms)
    return ClockSample(sent, sent + draw(rtts), sent + draw(st.integers(-10_000, 10_000)))


def naive_percentile(values: list[int], hundredths: int) -> int:
    """The smallest value that at least *hundredths* percent of *values* do not exceed."""
    needed = Fraction(hundredths, 100) * len(values)
    return next(v for v in sorted(values) if sum(other <= v for other in values) >= needed)


@given(st.lists(rtts, min_size=1, max_size=200), st.sampled_from([50, 95]))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(
    values: list[int], hundredths: int
) -> None:
    assert percentile(sorted(values), hundredths / 100) == naive_percentile(values, hundredths)


@pytest.mark.parametrize(
    ("values", "p50", "p95"),
    [([], None, None), ([7], 7, 7), ([1, 2], 1, 2), (list(range(1, 21)), 10, 19)],
)
def test_percentiles_of_small_samples(values: list[int], p50: int | None, p95: int | None) -> None:
    assert (percentile(values, 0.50), percentile(values, 0.95)) == (p50, p95)


@given(epoch_ms, st.integers(-10_000, 10_000), rtts, st.floats(0, 1))
def test_offset_error_is_at_most_half_the_round_trip(
    sent: int, ahead: int, rtt: int, share: float
) -> None:
    """Wherever between sending and receiving the exchange read its clock, *ahead* of ours."""
    read_at = sent + round(share * rtt)
    probe = ClockSample(sent, sent + rtt, server_ms=read_at + ahead)

    assert abs(probe.offset_ms - ahead) <= rtt / 2
    assert probe.rtt_ms == rtt


def test_a_local_clock_that_stepped_back_gives_no_negative_round_trip() -> None:
    assert ClockSample(sent_ms=1000, received_ms=900, server_ms=950).rtt_ms == 0


def test_empty_window_has_no_offset_and_full_availability() -> None:
    assert SkewWindow().skew == ClockSkew(None, 1.0, None, None)


@given(st.lists(st.one_of(st.none(), probes()), min_size=1, max_size=60), st.integers(1, 20))
def test_window_reports_recent_requests_and_the_latest_offset(
    asked: list[ClockSample | None], size: int
) -> None:
    """`p_up` and round trips cover the last *size* requests; the offset is kept beyond that."""
    window = SkewWindow(size)
    for probe in asked:
        if probe is None:
            window.record_miss()
        else:
            window.record_answer(probe)

    kept = asked[-size:]
    times = [probe.rtt_ms for probe in kept if probe is not None]
    answers = [probe.offset_ms for probe in asked if probe is not None]
    assert window.skew == ClockSkew(
        offset_ms=answers[-1] if answers else None,
        p_up=len(times) / len(kept),
        rtt_p50_ms=naive_percentile(times, 50) if times else None,
        rtt_p95_ms=naive_percentile(times, 95) if times else None,
    )
