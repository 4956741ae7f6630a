"""What was paid and received, as the HTTP API shows it."""

from typing import Annotated, Self, TypeAlias

import msgspec
from msgspec import Meta, Struct

from chimera_s1.app.capabilities.funding.read_funding import DailyPage
from chimera_s1.app.capabilities.funding.web.schemas import SymbolField
from chimera_s1.app.utc_time import format_utc
from chimera_s1.app.web.page_cursor import encode_cursor
from chimera_s1.domain.funding.daily_sums import DailyFunding, FundingSums
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.money import exact_text

_Exact: TypeAlias = Annotated[
    str,
    Meta(
        description="The same, exact decimal.",
        pattern=r"^-?[0-9]+(\.[0-9]+)?$",
        examples=["-1.23456789"],
    ),
]


class SumsView(Struct, frozen=True, kw_only=True):
    """What settlements paid and received in all, each sum as a number and as exact text."""

    settlements: Annotated[int, Meta(description="How many are stored.", examples=[3])]
    without_amount: Annotated[
        int,
        Meta(
            description="How many of them have no amount: no position, no key, not known yet, or "
            "older than the exchange tells.",
            examples=[0],
        ),
    ]
    received_usdt: Annotated[float, Meta(description="USDT, at least 0.", examples=[1.25])]
    received_usdt_text: _Exact
    paid_usdt: Annotated[float, Meta(description="USDT, at most 0.", examples=[-2.5])]
    paid_usdt_text: _Exact
    net_usdt: Annotated[float, Meta(description="Received plus paid, USDT.", examples=[-1.25])]
    net_usdt_text: _Exact


class DayView(SumsView, frozen=True, kw_only=True):
    """What a contract's settlements of one UTC day paid and received."""

    day: Annotated[str, Meta(description="UTC.", examples=["2026-11-27"])]
    symbol: SymbolField

    @classmethod
    def of(cls, row: DailyFunding) -> Self:
        sums = msgspec.structs.asdict(_sums(FundingSums.of([row])))
        return cls(day=format_utc(row.day).partition("T")[0], symbol=row.symbol, **sums)


class SummaryView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was paid and received on whole UTC days, by day and contract."""

    start: Annotated[
        int, Meta(description="Begin of the first day, epoch ms.", examples=[1795305600000])
    ]
    end: Annotated[
        int, Meta(description="End of the last day, epoch ms.", examples=[1795910399999])
    ]
    total: Annotated[SumsView, Meta(description="Of all pages, and of all settlements.")]
    days: tuple[DayView, ...]
    next_cursor: Annotated[
        str, Meta(description="Send it as `cursor` for the next page; omitted on the last page.")
    ] = ""

    @classmethod
    def of(cls, page: DailyPage) -> Self:
        return cls(
            start=page.window.start,
            end=page.window.end,
            total=_sums(page.total),
            days=tuple(map(DayView.of, page.rows)),
            next_cursor=day_cursor(*page.following) if page.following else "",
        )


def _sums(sums: FundingSums) -> SumsView:
    return SumsView(
        settlements=sums.settlements,
        without_amount=sums.without_amount,
        received_usdt=float(sums.received),
        received_usdt_text=exact_text(sums.received),
        paid_usdt=float(sums.paid),
        paid_usdt_text=exact_text(sums.paid),
        net_usdt=float(sums.net),
        net_usdt_text=exact_text(sums.net),
    )


def day_cursor(day: int, symbol: Symbol) -> str:
    return encode_cursor(f"day {day} {symbol}")
