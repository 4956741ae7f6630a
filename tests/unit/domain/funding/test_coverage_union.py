"""How the proven part of a history grows."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.funding.coverage_union import extend_span, is_progress
from chimera_s1.domain.funding.window import Window

TIMES = st.integers(0, 12)
SPANS = st.builds(lambda a, b: Window(min(a, b), max(a, b)), TIMES, TIMES)


def times(span: Window) -> set[int]:
    return set(range(span.start, span.end + 1))


@given(SPANS, SPANS)
def test_no_time_is_proven_that_neither_span_proves(stored: Window, found: Window) -> None:
    """All of both where they join, also without overlap; else the span that ends later."""
    extended = extend_span(stored, found)

    union = times(stored) | times(found)
    if len(union) == max(union) - min(union) + 1:
        assert times(extended) == union
    else:
        assert extended == max(stored, found)


def test_the_first_span_is_taken_as_it_is() -> None:
    assert extend_span(None, Window(3, 9)) == Window(3, 9)


def test_a_short_proof_replaces_no_long_one_unless_that_is_before_the_kept_history() -> None:
    year, week = Window(0, 365), Window(370, 377)

    assert not is_progress(year, week)
    assert not is_progress(year, week, kept_from=300)
    assert is_progress(year, week, kept_from=366)
    assert is_progress(year, week, kept_from=360)
