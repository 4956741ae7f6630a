"""Funding paid and received per day."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.funding.daily_sums import FundingSums, sum_day
from chimera_s1.domain.identifiers import Symbol

AMOUNTS = st.integers(-(10**80), 10**80).map(lambda units: Decimal(f"{units}e-60"))
"""An amount and the price of its asset have at most 40 digits each."""


@given(st.lists(st.none() | AMOUNTS))
def test_sums_are_exact(amounts: list[Decimal | None]) -> None:
    """Whatever the size and the order of the amounts."""
    known = [Fraction(each) for each in amounts if each is not None]

    day = sum_day(0, Symbol("A"), amounts)

    assert Fraction(day.received) == sum(each for each in known if each > 0)
    assert Fraction(day.paid) == sum(each for each in known if each < 0)
    assert (day.settlements, day.without_amount) == (len(amounts), len(amounts) - len(known))
    total = FundingSums.of([day, day])
    assert Fraction(total.net) == 2 * sum(known)
