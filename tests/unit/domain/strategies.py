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

CONTROL_CHARACTERS = (
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, range(0x2028, 0x202F)),
    *map(chr, range(0x2060, 0x2065)),
    *map(chr, range(0x2066, 0x2070)),
    *("\u061c", "\u200b", "\u200e", "\u200f", "\ufeff"),
)
"""C0, DEL, C1, line and paragraph separators, bidirectional and invisible ones."""

texts_with_controls = st.text(
    st.one_of(st.sampled_from(CONTROL_CHARACTERS), st.characters(exclude_categories=["Cs"])),
    max_size=30,
)
