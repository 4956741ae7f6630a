"""Funding as the HTTP API shows it, under the names it has in `funding_records`."""

from decimal import Decimal
from typing import Annotated, Self, TypeAlias

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.funding.read_funding import RecordPage
from chimera_s1.app.web.page_cursor import encode_cursor
from chimera_s1.domain.funding.record import FundingAmount, FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import SettlementKey
from chimera_s1.domain.money import exact_text

_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"

SymbolField: TypeAlias = Annotated[
    str, Meta(description="The venue's code of the contract.", examples=["BTCUSDT"])
]
_Time: TypeAlias = Annotated[int, Meta(description="Epoch ms.", examples=[1795910400000])]
_FundingTime: TypeAlias = Annotated[
    int,
    Meta(
        description="As published, epoch ms; it may be some ms off the full hour.",
        examples=[1795910400000],
    ),
]
_RateType: TypeAlias = Annotated[
    str, Meta(description="In the exchange's words; may gain values.", examples=["Regular"])
]


def _text(value: Decimal | None) -> str | None:
    return None if value is None else exact_text(value)


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


class IncomePartView(Struct, frozen=True, kw_only=True):
    """One row of the account's income; hedge mode has one for each side."""

    tran_id: Annotated[str, Meta(description="The exchange's id.", examples=["9689322392"])]
    asset: Annotated[str, Meta(description="What was paid in.", examples=["USDT"])]
    amount: Annotated[
        str,
        Meta(
            description="Exact decimal; negative if paid.",
            pattern=_DECIMAL,
            examples=["-1.23456789"],
        ),
    ]


class ConversionView(Struct, frozen=True, kw_only=True):
    """What one unit of an asset other than USDT was worth."""

    asset: Annotated[str, Meta(description="The asset.", examples=["BNB"])]
    rate: Annotated[
        str, Meta(description="USDT, exact decimal.", pattern=_DECIMAL, examples=["862.1"])
    ]
    time: Annotated[
        int,
        Meta(
            description="Open time of the spot 1-minute candle, epoch ms.", examples=[1795910400000]
        ),
    ]


class FundingRecordView(Struct, frozen=True, kw_only=True):
    """A settlement of a contract: its rate, and what the account paid or received."""

    symbol: SymbolField
    funding_time: _FundingTime
    rate_type: _RateType
    rate: Annotated[float, Meta(description="Realised; a fraction.", examples=[0.0001])]
    rate_text: Annotated[
        str, Meta(description="The same, exact decimal.", pattern=_DECIMAL, examples=["0.0001"])
    ]
    rate_est: Annotated[
        float | None,
        Meta(
            description="The last estimate of this settlement; null: none was received.",
            examples=[0.00011],
        ),
    ]
    rate_est_text: Annotated[
        str | None, Meta(description="The same, exact decimal.", examples=["0.00011"])
    ]
    mark_price: Annotated[
        float | None,
        Meta(description="Null where the exchange does not say it.", examples=[67403.8]),
    ]
    mark_price_text: Annotated[
        str | None, Meta(description="The same, exact decimal.", examples=["67403.8"])
    ]
    interval_h: Annotated[
        int | None,
        Meta(
            description="Hours since the regular settlement before; null: not known.", examples=[8]
        ),
    ]
    amount_usdt: Annotated[
        float | None,
        Meta(
            description="Received, negative if paid. Null: no position, no key, not known yet, or "
            "older than the exchange tells.",
            examples=[-1.23456789],
        ),
    ]
    amount_usdt_text: Annotated[
        str | None, Meta(description="The same, exact decimal.", examples=["-1.23456789"])
    ]
    account: Annotated[
        str | None,
        Meta(description="Whose amount; null without one.", examples=["live:354937868"]),
    ]
    parts: tuple[IncomePartView, ...]
    conversions: tuple[ConversionView, ...]
    disputed: Annotated[
        bool,
        Meta(description="The exchange now says something else: see `disputes`.", examples=[False]),
    ]
    first_seen_at: Annotated[
        int, Meta(description="When it was stored first, epoch ms.", examples=[1795910407123])
    ]
    version: Annotated[int, Meta(description="1, and one more for each later fact.", examples=[2])]
    content_hash: Annotated[
        str,
        Meta(
            description="SHA-256 of what the exchange said of the rate, hex.",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]

    @classmethod
    def of(cls, record: FundingRecord, *, disputed: bool) -> Self:
        amount = record.amount or FundingAmount(account="", parts=())
        return cls(
            symbol=record.key.symbol,
            funding_time=record.key.funding_time,
            rate_type=record.key.rate_type,
            rate=float(record.rate),
            rate_text=exact_text(record.rate),
            rate_est=_number(record.rate_est),
            rate_est_text=_text(record.rate_est),
            mark_price=_number(record.mark_price),
            mark_price_text=_text(record.mark_price),
            interval_h=record.interval_h,
            amount_usdt=_number(amount.amount_usdt),
            amount_usdt_text=_text(amount.amount_usdt),
            account=amount.account or None,
            parts=tuple(
                IncomePartView(
                    tran_id=str(each.tran_id), asset=each.asset, amount=exact_text(each.amount)
                )
                for each in amount.parts
            ),
            conversions=tuple(
                ConversionView(asset=each.asset, rate=exact_text(each.rate), time=each.time)
                for each in amount.conversions
            ),
            disputed=disputed,
            first_seen_at=record.first_seen_at,
            version=record.version,
            content_hash=record.content_hash,
        )


class DisputeView(Struct, frozen=True, kw_only=True):
    """A settlement of which the exchange now says something else; the stored record stays."""

    symbol: SymbolField
    funding_time: _FundingTime
    rate_type: _RateType
    field: Annotated[
        str,
        Meta(
            description="What differs: `rate`, `mark_price`, `amount` or `funding_time`.",
            examples=["rate"],
        ),
    ]
    stored: Annotated[str, Meta(description="As it is stored.", examples=["0.0001"])]
    found: Annotated[str, Meta(description="As it came back.", examples=["0.0002"])]
    found_at: _Time

    @classmethod
    def of(cls, dispute: FundingDispute) -> Self:
        return cls(
            symbol=dispute.key.symbol,
            funding_time=dispute.key.funding_time,
            rate_type=dispute.key.rate_type,
            field=dispute.field,
            stored=dispute.stored,
            found=dispute.found,
            found_at=dispute.found_at,
        )


class RecordListView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of records of one contract, the oldest first."""

    symbol: SymbolField
    verified_from: Annotated[
        int | None,
        Meta(
            description="Every settlement published from then on, epoch ms, to `verified_through` "
            "is stored; null: nothing is verified yet.",
            examples=[1788134400000],
        ),
    ]
    verified_through: Annotated[
        int | None,
        Meta(
            description="It trails what the exchange has not published yet.",
            examples=[1795910400000],
        ),
    ]
    records: tuple[FundingRecordView, ...]
    disputes: tuple[DisputeView, ...]
    next_cursor: Annotated[
        str, Meta(description="Send it as `cursor` for the next page; omitted on the last page.")
    ] = ""

    @classmethod
    def of(cls, symbol: str, page: RecordPage) -> Self:
        disputed = {each.key for each in page.disputes}
        return cls(
            symbol=symbol,
            verified_from=page.coverage.verified_from if page.coverage else None,
            verified_through=page.coverage.verified_through if page.coverage else None,
            records=tuple(
                FundingRecordView.of(each, disputed=each.key in disputed) for each in page.records
            ),
            disputes=tuple(map(DisputeView.of, page.disputes)),
            next_cursor=record_cursor(page.following) if page.following else "",
        )


def record_cursor(key: SettlementKey) -> str:
    return encode_cursor(f"{key.funding_time} {key.symbol} {key.rate_type}")
