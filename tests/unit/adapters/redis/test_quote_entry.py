"""Numbers of a stream entry."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.redis.quote_entry import decimal_texts_fast
from chimera_s1.domain.money import decimal_text

numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False) | st.decimals(
    min_value=0, max_value=10**9, places=8
).map(float)


@given(st.lists(numbers, min_size=1, max_size=6))
def test_fast_decimal_texts_equal_decimal_text(values: list[float]) -> None:
    assert decimal_texts_fast(values) == [decimal_text(value) for value in values]


@given(st.floats(min_value=1e-5, max_value=1e15))
def test_a_price_reads_back_as_the_same_float64(price: float) -> None:
    (text,) = decimal_texts_fast([price])

    assert float(text) == price
    assert "e" not in text
