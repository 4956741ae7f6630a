"""Terms and fingerprint of a request."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.money import exact_text, parse_usdt
from chimera_s1.domain.treasury.commands import make_terms, request_fingerprint
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from tests.transfer_events import AMOUNT, AT, DAY, TERMS

IN, OUT = Direction.SPOT_TO_FUT, Direction.FUT_TO_SPOT

requests = st.tuples(
    st.sampled_from(Direction),
    st.decimals("0.00000001", "1000000", places=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


@pytest.mark.parametrize("amount", ["10", "10.0", "10.00", "1E+1", "1.0e1", "0010"])
def test_the_spelling_of_an_amount_does_not_change_the_fingerprint(amount: str) -> None:
    assert request_fingerprint(IN, Decimal(amount), "x") == request_fingerprint(
        IN, Decimal(10), "x"
    )


def test_a_fingerprint_never_changes() -> None:
    """Existing ledgers contain fingerprints."""
    assert (
        request_fingerprint(IN, Decimal("12.50"), "márgin")
        == "4f0f83665124a2151f635f92d63dacd52aa0e9438c4a93c9772aa6e9ec66dadb"
    )


@given(requests, requests)
def test_fingerprints_are_equal_only_for_equal_requests(
    one: tuple[Direction, Decimal, str], other: tuple[Direction, Decimal, str]
) -> None:
    assert (request_fingerprint(*one) == request_fingerprint(*other)) is (one == other)


@given(requests)
def test_each_field_changes_the_fingerprint(request: tuple[Direction, Decimal, str]) -> None:
    direction, amount, reason = request
    opposite = OUT if direction is IN else IN

    assert request_fingerprint(*request) == request_fingerprint(
        direction, parse_usdt(exact_text(amount)), reason
    )
    assert request_fingerprint(*request) != request_fingerprint(opposite, amount, reason)
    assert request_fingerprint(*request) != request_fingerprint(
        direction, amount + Decimal("1e-8"), reason
    )
    assert request_fingerprint(*request) != request_fingerprint(direction, amount, f"{reason} ")


def test_terms_record_the_day_and_the_limits_at_acceptance() -> None:
    terms = make_terms(IN, AMOUNT, "margin", mode=TreasuryMode.WALLET, limits=TERMS.limits, at=AT)

    assert (terms.day, terms.accepted_at, terms.limits) == (DAY, AT, TERMS.limits)
    assert terms.fingerprint == request_fingerprint(IN, AMOUNT, "margin")
