"""Rows of `funding_records`, which other services read."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.funding.record import FundingAmount, FundingRecord, IncomePart
from chimera_s1.domain.funding.record_row import record_of, row_of
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.identifiers import Symbol

HEDGED = FundingAmount(
    account="live:1",
    parts=(IncomePart(1, "BNB", Decimal("-0.3")), IncomePart(2, "BNB", Decimal("0.1"))),
)
RECORD = FundingRecord(
    key=SettlementKey(1_772_496_000_000, Symbol("BTCUSDT"), REGULAR),
    rate=Decimal("1E-8"),
    mark_price=None,
    amount=HEDGED,
    content_hash="a" * 64,
    first_seen_at=1_772_496_005_000,
)


def test_a_row_has_numbers_and_exact_texts() -> None:
    row = row_of(RECORD)

    assert (row.rate, row.rate_text) == (1e-8, "0.00000001")
    assert (row.mark_price, row.mark_price_text) == (None, None)
    assert record_of(row) == RECORD


def test_the_amount_before_its_conversion_is_the_sum_of_both_sides() -> None:
    row = row_of(RECORD)

    assert (row.asset, row.asset_amount) == ("BNB", -0.2)
    assert (row.amount_usdt, row.amount_usdt_text) == (None, None)


def test_amounts_in_several_assets_have_no_single_amount() -> None:
    parts = (*HEDGED.parts, IncomePart(3, "USDT", Decimal(1)))
    row = row_of(replace(RECORD, amount=replace(HEDGED, parts=parts)))

    assert (row.asset, row.asset_amount) == (None, None)
    assert row.parts is not None
    assert [part.amount for part in row.parts] == ["-0.3", "0.1", "1"]


@pytest.mark.parametrize("text", ["", "1e5", "NaN", "1_0", "٣", " 1"])
def test_a_damaged_text_is_named(text: str) -> None:
    with pytest.raises(InvalidValueError, match="BTCUSDT 1772496000000 Regular"):
        record_of(replace(row_of(RECORD), rate_text=text))
