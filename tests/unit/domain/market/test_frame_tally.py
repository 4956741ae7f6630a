"""Refused frames against published ones: when a stream is DEGRADED."""

import pytest

from chimera_s1.domain.market.frame_tally import CONFIRM_MS, WINDOW_MS, FrameTally


def tally(*seconds: tuple[int, int]) -> tuple[FrameTally, float]:
    """Frames published and refused in each second, and the time of the last one, ms."""
    frames, now_ms = FrameTally(), 0.0
    for published, refused in seconds:
        now_ms += 1_000
        frames.record(now_ms, published=published, refused=refused, reason="crossed")
    return frames, now_ms


@pytest.mark.parametrize(
    ("seconds", "degraded"),
    [
        ([(1, 0)] * 8, False),
        ([(4, 1)] * 8, False),
        ([(1, 1)] * 8, True),
        ([(1, 3)] * 8, True),
        ([(0, 1)] * 8, True),
        ([(5, 0)] * 5 + [(0, 1)] * 2, False),
        ([(5, 0)] * 5 + [(0, 1)] * 4, True),
    ],
    ids=["fine", "one in five", "half", "most", "all", "two of a busy one", "none published"],
)
def test_half_refused_or_none_published_is_degraded(
    seconds: list[tuple[int, int]], *, degraded: bool
) -> None:
    frames, now_ms = tally(*seconds)
    assert frames.is_degraded(now_ms) is degraded


def test_a_slow_stream_is_degraded_by_two_refused_frames_and_no_other() -> None:
    """Nothing is published since the first of them; one odd frame is not enough."""
    one, now_ms = tally((1, 0), (0, 1))
    assert not one.is_degraded(now_ms + 60_000)
    two, now_ms = tally((1, 0), (0, 1), (0, 1))
    assert not two.is_degraded(now_ms)
    assert two.is_degraded(now_ms + WINDOW_MS)


def test_it_is_over_once_most_frames_are_published_again() -> None:
    frames, now_ms = tally(*[(0, 1)] * 5)
    assert frames.is_degraded(now_ms)
    for _ in range(5):
        now_ms += 1_000
        frames.record(now_ms, published=1, refused=0)
    assert not frames.is_degraded(now_ms)
    assert frames.is_idle


def test_the_summary_names_counts_and_reason() -> None:
    frames, _ = tally(*[(1, 3)] * 9)
    assert frames.summary == "15 of 20 frames in 5 s are refused (crossed)"


def test_a_burst_of_refused_frames_is_no_defect_before_it_has_lasted() -> None:
    frames = FrameTally()
    frames.record(1_000, published=0, refused=50, reason="malformed")
    assert not frames.is_degraded(1_000 + CONFIRM_MS - 1)
    assert frames.is_degraded(1_000 + CONFIRM_MS)
