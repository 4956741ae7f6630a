"""
Numbers on a stream: exact, short, without exponent.
"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import decimal_text, usdt

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_the_text_reads_back_as_the_same_float(value: float) -> None:
    assert float(decimal_text(value)) == value


@given(finite)
def test_the_text_is_plain_decimal_digits(value: float) -> None:
    """
    No exponent, no trailing `.0`, nothing but a sign, digits and at most one point.
    """
    text = decimal_text(value)
    whole, point, fraction = text.removeprefix("-").partition(".")

    assert whole.isdigit()
    assert fraction.isdigit() if point else not fraction
    assert not text.endswith(".0")


@given(finite)
def test_no_shorter_significand_would_do(value: float) -> None:
    """
    The significant digits are those of `repr`, which Python promises to be the fewest.
    """
    assert Decimal(decimal_text(value)) == Decimal(repr(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00001, "0.00001"),
        (1e-8, "0.00000001"),
        (25.0, "25"),
        (67403.8, "67403.8"),
        (0.1, "0.1"),
        (1e22, "10000000000000000000000"),
        (0.0, "0"),
        (100.0, "100"),
        (100, "100"),
    ],
)
def test_the_text_people_expect(value: float, text: str) -> None:
    assert decimal_text(value) == text


@pytest.mark.parametrize("text", ["1e-9", "1e-999999999", "1.000000001"])
def test_an_amount_too_fine_to_be_moved_is_refused_before_it_is_written_out(text: str) -> None:
    """
    Written out, the second one takes a gigabyte.
    """
    with pytest.raises(InvalidValueError, match="at most 8 decimals"):
        usdt(text)
