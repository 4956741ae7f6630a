"""Hypothesis strategies for values of the domain, valid and invalid."""

from hypothesis import strategies as st

from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue

any_float = st.floats(allow_nan=True, allow_infinity=True)
positive = st.floats(min_value=0, exclude_min=True, max_value=1e15)
draws = st.floats(min_value=0, max_value=1, exclude_max=True)
epoch_ms = st.integers(min_value=0, max_value=4_102_444_800_000)

venues = st.sampled_from(Venue)
symbols = st.from_regex(r"[A-Z0-9]{2,20}", fullmatch=True).map(Symbol)
instruments = st.builds(InstrumentId, venues, symbols)
