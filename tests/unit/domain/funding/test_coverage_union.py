"""How the proven part of a history grows."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.funding.coverage_union import Span, extend_span

TIMES = st.integers(0, 12)
SPANS = st.builds(lambda a, b: Span(min(a, b), max(a, b)), TIMES, TIMES)


def times(span: Span) -> set[int]:
    return set(range(span.start, span.end + 1))


@given(SPANS, SPANS)
def test_no_time_is_proven_that_neither_span_proves(stored: Span, found: Span) -> None:
    """All of both where they join, also without overlap; else the span that ends later."""
    extended = extend_span(stored, found)

    union = times(stored) | times(found)
    if len(union) == max(union) - min(union) + 1:
        assert times(extended) == union
    else:
        assert extended == max(stored, found)


def test_the_first_span_is_taken_as_it_is() -> None:
    assert extend_span(None, Span(3, 9)) == Span(3, 9)
