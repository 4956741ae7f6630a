"""Amounts and numbers as text: exact, short, without exponent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import USDT_MAX, decimal_text, exact_text, parse_usdt

finite = st.floats(allow_nan=False, allow_infinity=False)
amounts = st.decimals("0.00000001", USDT_MAX, places=8)


@given(finite)
def test_decimal_text_parses_to_the_same_float(value: float) -> None:
    assert float(decimal_text(value)) == value


@given(finite)
def test_the_text_is_plain_decimal_digits(value: float) -> None:
    """No exponent, no trailing `.0`, nothing but a sign, digits and at most one point."""
    text = decimal_text(value)
    whole, point, fraction = text.removeprefix("-").partition(".")

    assert whole.isdigit()
    assert fraction.isdigit() if point else not fraction
    assert not text.endswith(".0")


@given(finite)
def test_the_text_has_the_fewest_significant_digits(value: float) -> None:
    """The significant digits are those of `repr`, which Python promises to be the fewest."""
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
def test_decimal_text_examples(value: float, text: str) -> None:
    assert decimal_text(value) == text


@pytest.mark.parametrize("text", ["1e-9", "1e-999999999", "1.000000001"])
def test_too_many_decimals_are_refused_before_formatting(text: str) -> None:
    """Formatting the second one would take a gigabyte."""
    with pytest.raises(InvalidValueError, match="at most 8 decimals"):
        parse_usdt(text)


@given(amounts, st.integers(0, 12))
def test_an_amount_has_one_canonical_form(amount: Decimal, zeros: int) -> None:
    padded = f"{amount:f}" + "0" * zeros

    stored = parse_usdt(padded)

    assert stored == amount
    assert exact_text(stored) == exact_text(Decimal(padded))
    assert str(parse_usdt(f"{amount:E}")) == str(parse_usdt(stored)) == str(stored)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value="-1e30", max_value="1e30"))
def test_an_exact_text_is_the_same_number_without_exponent(amount: Decimal) -> None:
    text = exact_text(amount)
    whole, point, fraction = text.removeprefix("-").partition(".")

    assert Decimal(text) == amount
    assert whole.isdigit()
    assert fraction.isdigit() if point else not fraction
    assert not (point and text.endswith("0"))


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1E+1", "10"), ("10", "10"), ("100.00", "100"), ("0.50", "0.5"), ("1e-8", "0.00000001")],
)
def test_exact_text_examples(amount: str, text: str) -> None:
    assert exact_text(Decimal(amount)) == text
    assert parse_usdt(amount) == Decimal(text)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("", "a decimal number"),
        ("ten", "a decimal number"),
        ("1,5", "a decimal number"),
        ("12.5 USDT", "a decimal number"),
        ("\ud800", "a decimal number"),
        ("1e99999999999999999999", "a decimal number"),
        ("NaN", "a finite decimal number"),
        ("sNaN", "a finite decimal number"),
        ("-Infinity", "a finite decimal number"),
        ("0", "more than 0"),
        ("-0.0", "more than 0"),
        ("0e999999", "more than 0"),
        ("-1e-9", "more than 0"),
        ("1000000000000.00000001", "at most 1000000000000"),
        ("1e999999", "at most 1000000000000"),
        ("0.000000001", "at most 8 decimals"),
        ("0.123456789", "at most 8 decimals"),
        ("1e-999999", "at most 8 decimals"),
        ("99999999999.999999999", "at most 8 decimals"),
    ],
)
def test_the_error_of_an_invalid_amount_names_the_reason(amount: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        parse_usdt(amount)


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_an_invalid_value_error(text: str) -> None:
    try:
        amount = parse_usdt(text)
    except InvalidValueError:
        return

    assert 0 < amount <= USDT_MAX
    assert amount == round(amount, 8)
