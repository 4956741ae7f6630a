"""What is stored of a settlement, and what came back different."""

from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.funding.settlement import SettlementKey


class IncomePart(Struct, frozen=True, gc=False):
    """One row of `GET /fapi/v1/income`: hedge mode has one for each side.

    Attributes:
        tran_id: Unique within one income type of one account.
        amount: In *asset*; negative if paid.
    """

    tran_id: int
    asset: str
    amount: Decimal


class Conversion(Struct, frozen=True, gc=False):
    """What one *asset* was worth.

    Attributes:
        rate: USDT for one.
        time: Open time of the spot 1-minute candle whose close it is, epoch ms.
    """

    asset: str
    rate: Decimal
    time: int


class FundingAmount(Struct, frozen=True, kw_only=True, gc=False):
    """What one account paid or received at a settlement.

    Attributes:
        account: Whose, as in the treasury's account claim.
        parts: In the order of tran_id, asset.
        conversions: Of assets other than USDT, as far as their price is known.
        amount_usdt: Negative if paid; None until every conversion is known.
    """

    account: str
    parts: tuple[IncomePart, ...]
    conversions: tuple[Conversion, ...] = ()
    amount_usdt: Decimal | None = None


class FundingRecord(Struct, frozen=True, kw_only=True, gc=False):
    """A row of `funding_records`: one settlement of one contract.

    Attributes:
        interval_h: Hours since the regular settlement before it; None where that is not known.
        rate_est: The last estimate of this settlement that was received; None if none was.
        amount: None without a position or a key, not published yet, or older than 3 months.
        content_hash: SHA-256 of what the exchange said of the rate, hex.
        first_seen_at: Epoch ms.
        version: 1 for the first; one more for each fact that became known later.
    """

    key: SettlementKey
    rate: Decimal
    mark_price: Decimal | None
    interval_h: int | None = None
    rate_est: Decimal | None = None
    amount: FundingAmount | None = None
    content_hash: str
    first_seen_at: int
    version: int = 1


class FundingDispute(Struct, frozen=True, kw_only=True, gc=False):
    """The exchange now says something else than what is stored; the stored record stays.

    Attributes:
        field: `rate`, `mark_price`, `amount` or `funding_time`.
        stored, found: As text; nothing is found of a settlement that the exchange no longer has.
        content_hash: Of what was found; with the key it identifies the dispute.
        found_at: Epoch ms.
    """

    key: SettlementKey
    field: str
    stored: str
    found: str
    content_hash: str
    found_at: int
