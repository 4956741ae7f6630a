"""The chart of rates in a terminal."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.app.cli.funding.rate_chart import chart_lines

ENDS = ("11-22 00:00", "11-28 16:00")

rates = st.integers(-3_000_000, 3_000_000).map(lambda number: Decimal(number).scaleb(-8))


def decimals(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


@given(st.lists(rates, min_size=1, max_size=2_000), st.integers(40, 200))
def test_a_chart_fits_its_width(values: list[Decimal], width: int) -> None:
    lines = chart_lines(values, width, ENDS)

    assert all(len(line) <= width for line in lines)
    assert len(lines) <= 11
    assert bool(lines) == any(values)


@given(st.lists(rates, min_size=1, max_size=69))
def test_every_rate_that_is_not_zero_has_a_bar_on_its_side(values: list[Decimal]) -> None:
    lines = chart_lines(values, 80, ENDS)
    if not lines:
        return
    shown = len("".join(lines[:-1]).replace(" ", "").replace("%", ""))
    assert shown >= sum(value != 0 for value in values)
    assert ("-" in "".join(lines[:-1])) == (min(values) < 0)


def test_bars_go_up_and_down_from_zero_on_one_scale() -> None:
    lines = chart_lines(decimals("0.0003", "0.00015", "-0.0001"), 24, ENDS)

    assert lines == (
        "  0.0300 % ███",
        "           ███",
        "           ███",
        "           ███ ███",
        "           ███ ███",
        "           ███ ███",
        "                   ███",
        " -0.0100 %         ███",
        "           11-22 00:00",
    )


def test_no_rates_and_only_zeros_have_no_chart() -> None:
    assert chart_lines([], 80, ENDS) == ()
    assert chart_lines(decimals("0", "0.0"), 80, ENDS) == ()


def test_of_too_many_rates_the_farthest_from_zero_is_shown() -> None:
    values = decimals(*["0.0001"] * 500, "-0.0005", *["0.0001"] * 499)

    lines = chart_lines(values, 80, ENDS)

    assert lines[-2].startswith(" -0.0500 %")
    assert lines[-2].removeprefix(" -0.0500 %").split() == ["▀"]
