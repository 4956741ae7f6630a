"""Instruments as the HTTP API shows them, under the names they have in `instrument_registry`."""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Self, TypeAlias

import msgspec
from msgspec import Meta, Struct

from chimera_s1.app.capabilities.instruments.sync_instruments import SyncResult
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.instruments.instrument import (
    LeverageBrackets,
    RegistryRow,
)
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.operations.active_configuration import RiskLimits

_DECIMAL = r"^[0-9]+(\.[0-9]+)?$"
_Exact: TypeAlias = Annotated[
    str, Meta(description="Exact decimal.", pattern=_DECIMAL, examples=["0.1"])
]


def _text(value: Decimal | None) -> str | None:
    return None if value is None else exact_text(value)


@lru_cache(maxsize=2_048)  # most symbols share most of their filters
def _filter(text: str) -> dict[str, object]:
    return msgspec.json.decode(text, type=dict[str, object])


def _rule(description: str, example: str) -> Meta:
    return Meta(
        description=f"{description}; null where the venue has no such rule.", examples=[example]
    )


class BracketView(Struct, frozen=True):
    """A leverage bracket; notionals in the quote asset."""

    bracket: Annotated[int, Meta(description="Its number, from 1.", examples=[1])]
    initial_leverage: Annotated[int, Meta(description="Highest leverage.", examples=[125])]
    notional_floor: _Exact
    notional_cap: _Exact
    maintenance_margin_ratio: _Exact
    cumulative: Annotated[
        str,
        Meta(description="Maintenance margin is notional times ratio minus this.", examples=["0"]),
    ]


class BracketsView(Struct, frozen=True):
    """The leverage brackets of one account."""

    account: Annotated[
        str, Meta(description="The account they belong to.", examples=["live:354937868"])
    ]
    notional_coef: Annotated[
        str | None,
        Meta(description="The account's factor of the caps; null: none.", examples=["1.5"]),
    ]
    brackets: tuple[BracketView, ...]

    @classmethod
    def of(cls, known: LeverageBrackets) -> Self:
        return cls(
            known.account,
            _text(known.notional_coef),
            tuple(
                BracketView(
                    each.bracket,
                    each.initial_leverage,
                    exact_text(each.notional_floor),
                    exact_text(each.notional_cap),
                    exact_text(each.maintenance_margin_ratio),
                    exact_text(each.cumulative),
                )
                for each in known.brackets
            ),
        )


class RiskView(Struct, frozen=True):
    """Thresholds of the instrument from S10."""

    rev: Annotated[int, Meta(description="The revision that set them.", examples=[12])]
    spread_bp_limit: Annotated[
        float | None, Meta(description="Widest spread, basis points.", examples=[5.0])
    ]
    depth_top1_usdt_min: Annotated[
        float | None, Meta(description="Smallest depth at the top, USDT.", examples=[20000.0])
    ]

    @classmethod
    def of(cls, known: RiskLimits) -> Self:
        return cls(known.rev, known.spread_bp_limit, known.depth_top1_usdt_min)


class InstrumentView(Struct, frozen=True, kw_only=True):
    """An instrument. Enumerations are the venue's words and may gain values."""

    venue: Annotated[Venue, Meta(description="Where it trades.", examples=["perp"])]
    symbol: Annotated[str, Meta(description="The venue's own code.", examples=["BTCUSDT"])]
    status: Annotated[str, Meta(description="In the venue's words.", examples=["TRADING"])]
    listed: Annotated[
        bool,
        Meta(description="Whether the venue's listing still has it.", examples=[True]),
    ]
    base_asset: Annotated[str, Meta(description="What is traded.", examples=["BTC"])]
    quote_asset: Annotated[str, Meta(description="What prices are in.", examples=["USDT"])]
    margin_asset: Annotated[str, Meta(description="Empty on spot.", examples=["USDT"])]
    contract_type: Annotated[str, Meta(description="Empty on spot.", examples=["PERPETUAL"])]
    underlying_type: Annotated[str, Meta(description="Empty on spot.", examples=["COIN"])]
    underlying_sub_types: Annotated[
        tuple[str, ...], Meta(description="In the venue's words.", examples=[["PoW"]])
    ]
    onboard_date: Annotated[
        int | None, Meta(description="First trade, epoch ms.", examples=[1569398400000])
    ]
    delivery_date: Annotated[
        int | None,
        Meta(
            description="When it is delivered, or a perpetual contract is delisted, epoch ms.",
            examples=[1782460800000],
        ),
    ]
    delisting_date: Annotated[
        int | None,
        Meta(description="From the spot delist schedule, epoch ms.", examples=[1782460800000]),
    ]
    tick_size: Annotated[str | None, _rule("Step of a price", "0.1")]
    min_price: Annotated[str | None, _rule("Lowest price", "556.8")]
    max_price: Annotated[str | None, _rule("Highest price", "4529764")]
    step_size: Annotated[str | None, _rule("Step of a quantity", "0.001")]
    min_qty: Annotated[str | None, _rule("Smallest quantity", "0.001")]
    max_qty: Annotated[str | None, _rule("Largest quantity of a limit order", "1000")]
    market_step_size: Annotated[str | None, _rule("Step of a market order", "0.001")]
    market_min_qty: Annotated[str | None, _rule("Smallest market order", "0.001")]
    market_max_qty: Annotated[str | None, _rule("Largest market order or triggered stop", "120")]
    min_notional: Annotated[str | None, _rule("Smallest price times quantity", "100")]
    max_notional: Annotated[str | None, _rule("Largest price times quantity", "9000000")]
    market_min_notional: Annotated[str | None, _rule("As min_notional, of market orders", "100")]
    market_max_notional: Annotated[
        str | None, _rule("As max_notional, of market orders", "9000000")
    ]
    order_types: Annotated[
        tuple[str, ...], Meta(description="In the venue's words.", examples=[["LIMIT", "MARKET"]])
    ]
    times_in_force: Annotated[
        tuple[str, ...], Meta(description="In the venue's words.", examples=[["GTC", "GTX"]])
    ]
    oco_allowed: Annotated[bool, Meta(description="Order lists of spot.", examples=[True])]
    oto_allowed: Annotated[bool, Meta(description="Order lists of spot.", examples=[True])]
    opo_allowed: Annotated[bool, Meta(description="Order lists of spot.", examples=[False])]
    funding_interval_h: Annotated[
        int | None, Meta(description="Hours between two settlements.", examples=[8])
    ]
    leverage_brackets: Annotated[
        BracketsView | None, Meta(description="Null on spot, and without an exchange key.")
    ]
    risk: Annotated[RiskView | None, Meta(description="Null without thresholds from S10.")]
    filters: Annotated[
        tuple[dict[str, object], ...],
        Meta(
            description="The venue's rules as it sends them, unknown ones too.",
            examples=[[{"filterType": "MAX_NUM_ORDERS", "limit": 200}]],
        ),
    ]
    spec_hash: Annotated[
        str,
        Meta(
            description="SHA-256 of the content; changes with it.",
            pattern="^[0-9a-f]{64}$",
            examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        ),
    ]
    version: Annotated[int, Meta(description="Goes up with each change.", examples=[3])]
    updated_at: Annotated[
        int, Meta(description="When the content changed, epoch ms.", examples=[1772514460893])
    ]
    checked_at: Annotated[
        int, Meta(description="When the listing last had it, epoch ms.", examples=[1772514460893])
    ]

    @classmethod
    def of(cls, row: RegistryRow) -> Self:
        content, spec = row.content, row.content.spec
        return cls(
            venue=spec.instrument.venue,
            symbol=spec.instrument.symbol,
            status=spec.status,
            listed=content.listed,
            base_asset=spec.base_asset,
            quote_asset=spec.quote_asset,
            margin_asset=spec.margin_asset,
            contract_type=spec.contract_type,
            underlying_type=spec.underlying_type,
            underlying_sub_types=spec.underlying_sub_types,
            onboard_date=spec.onboard_date,
            delivery_date=spec.delivery_date,
            delisting_date=content.delisting_date,
            tick_size=_text(spec.tick_size),
            min_price=_text(spec.min_price),
            max_price=_text(spec.max_price),
            step_size=_text(spec.step_size),
            min_qty=_text(spec.min_qty),
            max_qty=_text(spec.max_qty),
            market_step_size=_text(spec.market_step_size),
            market_min_qty=_text(spec.market_min_qty),
            market_max_qty=_text(spec.market_max_qty),
            min_notional=_text(spec.min_notional),
            max_notional=_text(spec.max_notional),
            market_min_notional=_text(spec.market_min_notional),
            market_max_notional=_text(spec.market_max_notional),
            order_types=spec.order_types,
            times_in_force=spec.times_in_force,
            oco_allowed=spec.oco_allowed,
            oto_allowed=spec.oto_allowed,
            opo_allowed=spec.opo_allowed,
            funding_interval_h=content.funding_interval_h,
            leverage_brackets=None
            if content.leverage_brackets is None
            else BracketsView.of(content.leverage_brackets),
            risk=None if content.risk is None else RiskView.of(content.risk),
            filters=tuple(map(_filter, spec.filters)),
            spec_hash=row.spec_hash,
            version=row.version,
            updated_at=row.updated_at,
            checked_at=row.checked_at,
        )


class InstrumentListView(Struct, frozen=True):
    """A page, by venue and symbol."""

    instruments: tuple[InstrumentView, ...]
    next_cursor: Annotated[
        str, Meta(description="`cursor` of the next page; empty on the last.", examples=[""])
    ]


def _number(description: str) -> Meta:
    return Meta(ge=0, description=description, examples=[0])


class SyncView(Struct, frozen=True):
    """What the sync of a venue has done; numbers of instruments."""

    venue: Annotated[Venue, Meta(description="The venue that was read.", examples=["perp"])]
    listed: Annotated[int, Meta(ge=0, description="In the listing.", examples=[930])]
    added: Annotated[int, _number("New in the registry.")]
    changed: Annotated[int, _number("Changed in the registry.")]
    vanished: Annotated[int, _number("No longer listed; they stay in the registry.")]
    unusable: Annotated[int, _number("Rows that cannot be decoded.")]
    held: Annotated[int, _number("In quarantine: they would vanish or change with many others.")]
    refused: Annotated[int, _number("Changes that the store refuses for good.")]

    @classmethod
    def of(cls, result: SyncResult) -> Self:
        return cls(
            result.venue,
            result.listed,
            result.added,
            result.changed,
            result.vanished,
            result.unusable,
            result.held,
            result.refused,
        )


class SyncListView(Struct, frozen=True):
    """The result of each venue that was read."""

    syncs: tuple[SyncView, ...]
