"""Clock skew: midpoint offsets, availability and percentiles."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.operations.clock_skew import (
    BOUND_MAX_MS,
    DRIFT,
    SAMPLES,
    ClockOffset,
    ClockSample,
    ClockSkew,
    OffsetEstimate,
    RequestWindow,
    percentile,
)
from tests.unit.domain.strategies import epoch_ms

rtts = st.integers(0, 60_000)

ROUNDING = 1e-3
"""Of float64 at the size of epoch ms."""


class Exchange:
    """A venue whose clock is *ahead_ms* of ours and drifts by *drift* of the time."""

    def __init__(self, ahead_ms: float, drift: float = 0.0) -> None:
        self.ahead_ms = ahead_ms
        self._drift = drift

    def offset_ms(self, now_ms: float) -> float:
        return self.ahead_ms + now_ms * self._drift

    def sample(self, sent_ms: float, out_ms: float, back_ms: float) -> ClockSample:
        """A request that takes *out_ms* there and *back_ms* back."""
        read_at = sent_ms + out_ms
        return ClockSample(sent_ms, read_at + back_ms, read_at + self.offset_ms(read_at))


delays = st.one_of(st.floats(0, 50), st.floats(0, 5_000))
journeys = st.lists(st.tuples(st.floats(0, 60_000), delays, delays), min_size=1, max_size=40)
"""Of requests: the wait before each one, its way there, and its way back; ms."""

exchanges = st.builds(Exchange, st.floats(-1e6, 1e6), st.floats(-DRIFT, DRIFT))


def honest_samples(
    exchange: Exchange, requests: list[tuple[float, float, float]]
) -> list[ClockSample]:
    samples: list[ClockSample] = []
    now_ms = 0.0
    for wait_ms, out_ms, back_ms in requests:
        samples.append(exchange.sample(now_ms + wait_ms, out_ms, back_ms))
        now_ms = samples[-1].received_ms
    return samples


def error_ms(estimate: OffsetEstimate, exchange: Exchange, now_ms: float) -> float:
    """How far the truth is outside the bound; 0 where it is inside."""
    measured = estimate.at(now_ms)
    assert measured is not None
    off_ms = abs(measured.offset_ms - exchange.offset_ms(now_ms))
    return max(0.0, off_ms - measured.bound_ms - ROUNDING)


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


@given(exchanges, journeys, st.floats(0, 3_600_000))
def test_the_true_offset_is_within_the_error_bound(
    exchange: Exchange, requests: list[tuple[float, float, float]], later_ms: float
) -> None:
    """However the delays are spread, and however old the last sample is."""
    estimate = OffsetEstimate()
    for sample in honest_samples(exchange, requests):
        assert not estimate.add(sample), "an honest clock proves no step"
        assert not error_ms(estimate, exchange, sample.received_ms)
        assert not error_ms(estimate, exchange, sample.received_ms + later_ms)


@given(
    exchanges,
    journeys.filter(lambda requests: len(requests) >= SAMPLES),
    st.integers(SAMPLES, 40),
    st.floats(0, 10_000),
    st.one_of(st.floats(-200, 200), st.floats(-1e7, 1e7)),
)
def test_one_odd_sample_moves_nothing_out_of_the_bound(
    exchange: Exchange,
    requests: list[tuple[float, float, float]],
    at: int,
    rtt_ms: float,
    off_ms: float,
) -> None:
    """Whatever it says, and however short its round trip is."""
    samples = honest_samples(exchange, requests)
    at = min(at, len(samples))
    now_ms = samples[at - 1].received_ms
    server_ms = now_ms + rtt_ms / 2 + exchange.offset_ms(now_ms) + off_ms
    odd = ClockSample(now_ms, now_ms + rtt_ms, server_ms)
    later = [
        ClockSample(s.sent_ms + rtt_ms, s.received_ms + rtt_ms, s.server_ms + rtt_ms)
        for s in samples[at:]
    ]
    estimate = OffsetEstimate()
    for sample in (*samples[:at], odd, *later):
        assert not estimate.add(sample)
        if sample is not odd:
            drifted_ms = rtt_ms * DRIFT  # *later* were made for moments that much earlier
            assert error_ms(estimate, exchange, sample.received_ms) <= drifted_ms


def test_a_sample_worse_than_the_bound_in_force_is_not_used() -> None:
    exchange, estimate = Exchange(300.0), OffsetEstimate()
    for at_ms in (0, 100, 200):
        estimate.add(exchange.sample(at_ms, 10, 10))
    slow = exchange.sample(300, 0, 5_000)
    estimate.add(slow)

    assert slow.offset_ms == 300 - 2_500
    assert estimate.at(5_300) == ClockOffset(300.0, 10 + 5_300 * DRIFT)
    assert not estimate.settled
    assert estimate.proven


def test_the_bound_grows_with_age_until_a_worse_sample_is_better() -> None:
    """100 ppm: after 1000 s, a round trip 200 ms longer is as good."""
    exchange, estimate = Exchange(0.0), OffsetEstimate()
    for at_ms in (0, 0, 0):
        estimate.add(exchange.sample(at_ms, 0, 0))
    assert estimate.at(1_000_000) == ClockOffset(0.0, 100.0)
    for at_ms in (1_000_000, 1_000_300, 1_000_600):
        estimate.add(exchange.sample(at_ms, 50, 50))

    measured = estimate.at(1_000_700)
    assert measured is not None
    assert measured.bound_ms <= 50.1


@pytest.mark.parametrize("by_ms", [-2_000.0, 150.0, 3_600_000.0])
def test_samples_in_a_row_that_agree_prove_a_step(by_ms: float) -> None:
    exchange, estimate = Exchange(0.0), OffsetEstimate()
    for at_ms in range(0, 300, 100):
        estimate.add(exchange.sample(at_ms, 5, 5))
    exchange.ahead_ms = by_ms
    stepped = [estimate.add(exchange.sample(at_ms, 5, 5)) for at_ms in range(300, 600, 100)]

    assert stepped == [False] * (SAMPLES - 1) + [True]
    measured = estimate.at(510)
    assert measured is not None
    assert measured.offset_ms == by_ms
    assert (estimate.settled, estimate.proven) == (True, True)


def test_odd_samples_between_good_ones_prove_nothing() -> None:
    """One server of several has a wrong clock."""
    good, odd, estimate = Exchange(0.0), Exchange(9_000.0), OffsetEstimate()
    for at_ms in range(0, 300, 100):
        estimate.add(good.sample(at_ms, 5, 5))
    for at_ms in range(300, 3_000, 300):
        for exchange, after_ms in ((odd, 0), (odd, 100), (good, 200)):
            assert not estimate.add(exchange.sample(at_ms + after_ms, 5, 5))

    measured = estimate.at(3_000)
    assert measured is not None
    assert measured.offset_ms == 0.0


def test_odd_samples_that_disagree_prove_nothing() -> None:
    exchange, estimate = Exchange(0.0), OffsetEstimate()
    for number in range(20):
        exchange.ahead_ms = 0.0 if number < SAMPLES else 1_000.0 * number
        assert not estimate.add(exchange.sample(number * 100, 5, 5))


def test_an_estimate_without_samples_is_none() -> None:
    assert OffsetEstimate().at(0.0) is None
    assert not OffsetEstimate().proven


@pytest.mark.parametrize(("bound_ms", "usable"), [(0, True), (BOUND_MAX_MS, True), (1_001, False)])
def test_an_offset_with_a_large_error_is_not_usable(bound_ms: float, *, usable: bool) -> None:
    assert ClockOffset(0.0, bound_ms).usable is usable


def test_empty_window_has_full_availability() -> None:
    assert RequestWindow().skew(None) == ClockSkew(None, 1.0, None, None)


@given(st.lists(st.one_of(st.none(), rtts), min_size=1, max_size=60), st.integers(1, 20))
def test_window_reports_recent_requests(asked: list[int | None], size: int) -> None:
    """`p_up` and round trips cover the last *size* requests."""
    window, offset = RequestWindow(size), ClockOffset(1.0, 2.0)
    for rtt_ms in asked:
        if rtt_ms is None:
            window.record_miss()
        else:
            window.record_answer(rtt_ms)

    kept = asked[-size:]
    times = [rtt_ms for rtt_ms in kept if rtt_ms is not None]
    assert window.skew(offset) == ClockSkew(
        offset=offset,
        p_up=len(times) / len(kept),
        rtt_p50_ms=naive_percentile(times, 50) if times else None,
        rtt_p95_ms=naive_percentile(times, 95) if times else None,
    )
