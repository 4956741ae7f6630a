"""What income says of a record that is stored."""

from decimal import Decimal

import pytest
from msgspec import structs

from chimera_s1.domain.funding.amounts import (
    AmountChange,
    OtherAccountsAmount,
    review_amount,
    sum_usdt,
)
from chimera_s1.domain.funding.record import (
    Conversion,
    FundingAmount,
    FundingDispute,
    FundingRecord,
    IncomePart,
)
from chimera_s1.domain.funding.settlement import REGULAR, SettlementKey
from chimera_s1.domain.identifiers import Symbol

ACCOUNT = "live:7"
KEY = SettlementKey(1_796_000_400_000, Symbol("BTCUSDT"), REGULAR)
RECORD = FundingRecord(
    key=KEY, rate=Decimal("0.0001"), mark_price=None, content_hash="c" * 64, first_seen_at=1
)
LONG = IncomePart(1, "USDT", Decimal("-0.375"))
SHORT = IncomePart(2, "USDT", Decimal("0.5"))
IN_BNB = IncomePart(3, "BNB", Decimal("-0.002"))
BNB = Conversion("BNB", Decimal("612.5"), KEY.funding_time)


def stored(*parts: IncomePart, prices: tuple[Conversion, ...] = ()) -> FundingRecord:
    amount = FundingAmount(
        account=ACCOUNT, parts=parts, conversions=prices, amount_usdt=sum_usdt(parts, prices)
    )
    return structs.replace(RECORD, amount=amount, version=4)


def review(
    record: FundingRecord, *parts: IncomePart, final: bool = True, account: str = ACCOUNT
) -> AmountChange | FundingDispute | OtherAccountsAmount | None:
    return review_amount(record, account, parts, final=final, now_ms=9)


def next_version(
    record: FundingRecord, *parts: IncomePart, prices: tuple[Conversion, ...] = ()
) -> FundingRecord | None:
    change = review(record, *parts)
    assert isinstance(change, AmountChange)
    return change.priced({each.asset: each for each in prices})


def test_rows_of_both_sides_are_summed() -> None:
    """Hedge mode has one for each side."""
    record = next_version(RECORD, LONG, SHORT)

    assert record == structs.replace(
        RECORD,
        version=2,
        amount=FundingAmount(account=ACCOUNT, parts=(LONG, SHORT), amount_usdt=Decimal("0.125")),
    )


def test_without_rows_a_record_has_no_amount() -> None:
    assert review(RECORD) is None


def test_the_same_rows_say_nothing_new() -> None:
    assert review(stored(LONG), LONG) is None


def test_more_rows_are_a_new_version() -> None:
    record = next_version(stored(LONG), LONG, SHORT)

    assert record is not None
    assert record.version == 5
    assert record.amount is not None
    assert record.amount.amount_usdt == Decimal("0.125")


@pytest.mark.parametrize("final", [True, False])
def test_a_row_with_another_amount_is_disputed(final: bool) -> None:
    """Whatever else is new."""
    changed = structs.replace(LONG, amount=Decimal("-0.376"))
    dispute = review(stored(LONG), changed, SHORT, final=final)

    assert isinstance(dispute, FundingDispute)
    assert (dispute.key, dispute.field, dispute.found_at) == (KEY, "amount", 9)
    assert dispute.stored == "-0.375 USDT (1)"
    assert dispute.found == "-0.376 USDT (1), 0.5 USDT (2)"
    other = review(stored(LONG), changed)
    assert isinstance(other, FundingDispute)
    assert dispute.content_hash != other.content_hash


def test_a_row_that_vanished_is_disputed_once_it_must_be_there() -> None:
    """A replica of the exchange may be behind."""
    assert review(stored(LONG, SHORT), LONG, final=False) is None
    assert review(stored(LONG), SHORT, final=False) is None
    assert review(stored(LONG), final=False) is None

    part, all_gone = review(stored(LONG, SHORT), LONG), review(stored(LONG))

    assert isinstance(part, FundingDispute)
    assert part.found == "-0.375 USDT (1)"
    assert isinstance(all_gone, FundingDispute)
    assert not all_gone.found


def test_rows_without_a_number_are_counted() -> None:
    """One of two equal rows is missing."""
    unnumbered = structs.replace(LONG, tran_id=0)

    assert review(stored(unnumbered, unnumbered), unnumbered, unnumbered) is None
    assert isinstance(review(stored(unnumbered, unnumbered), unnumbered), FundingDispute)
    assert isinstance(review(stored(unnumbered), unnumbered, unnumbered), AmountChange)


def test_the_amount_of_another_account_is_kept() -> None:
    assert review(stored(LONG), SHORT, account="live:8") == OtherAccountsAmount(KEY, ACCOUNT)
    assert review(stored(LONG), account="live:8") is None


def test_an_amount_in_another_asset_is_converted() -> None:
    change = review(RECORD, LONG, IN_BNB)
    assert isinstance(change, AmountChange)
    assert change.unpriced == ("BNB",)

    record = change.priced({"BNB": BNB})

    assert record is not None
    assert record.amount is not None
    assert record.amount.conversions == (BNB,)
    assert record.amount.amount_usdt == Decimal("-1.6")


def test_without_a_price_the_rows_are_kept_and_the_sum_is_unknown() -> None:
    """A later run that knows the price completes the record."""
    record = next_version(RECORD, LONG, IN_BNB)
    assert record is not None
    assert record.amount is not None
    assert record.amount.amount_usdt is None
    assert record.amount.parts == (LONG, IN_BNB)
    assert next_version(record, LONG, IN_BNB) is None

    completed = next_version(record, LONG, IN_BNB, prices=(BNB,))

    assert completed is not None
    assert completed.version == 3
    assert completed.amount is not None
    assert completed.amount.amount_usdt == Decimal("-1.6")


def test_a_price_that_is_stored_stays() -> None:
    """A candle may be read again, and differ."""
    change = review(stored(IN_BNB, prices=(BNB,)), LONG, IN_BNB)
    assert isinstance(change, AmountChange)
    assert not change.unpriced

    record = change.priced({"BNB": Conversion("BNB", Decimal(1), 1)})

    assert record is not None
    assert record.amount is not None
    assert record.amount.conversions == (BNB,)


def test_sums_keep_every_digit() -> None:
    """40 digits each, whatever the context of the caller."""
    amount, rate = Decimal("1." + "1" * 39), Decimal("3." + "3" * 39)
    parts = (IncomePart(1, "BNB", amount), IncomePart(2, "USDT", Decimal("1e-30")))
    total = sum_usdt(parts, (Conversion("BNB", rate, 1),))

    digits = int("1" * 40) * int("3" * 40) + 10**48
    assert total is not None
    assert total.as_tuple().digits == tuple(int(each) for each in str(digits))
    assert sum_usdt((LONG, structs.replace(LONG, amount=-LONG.amount)), ()) == 0


def test_a_dispute_of_many_rows_is_short() -> None:
    parts = tuple(IncomePart(number, "USDT", Decimal(1)) for number in range(1, 31))
    dispute = review(stored(*parts))

    assert isinstance(dispute, FundingDispute)
    assert dispute.stored.endswith("1 USDT (20), 10 more")
