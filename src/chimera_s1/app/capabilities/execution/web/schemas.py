"""Open orders, positions and balances as the HTTP API shows them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Self, TypeAlias

from msgspec import Meta, Struct

from chimera_s1.domain.execution.account_rows import BalanceRow, OpenOrderRow, PositionRow
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.money import exact_text

SymbolField: TypeAlias = Annotated[str, Meta(description="Of the venue.", examples=["BTCUSDT"])]
AtField: TypeAlias = Annotated[
    int,
    Meta(
        description="When the exchange last said that this is so; its clock, epoch ms.",
        examples=[1795910400000],
    ),
]
PositionSideField: TypeAlias = Annotated[
    str, Meta(description="BOTH in one-way mode; empty on spot.", examples=["BOTH"])
]


def exact(amount: Decimal | None) -> str | None:
    return None if amount is None else exact_text(amount)


class ReadTimes(Struct, frozen=True, kw_only=True):
    """When each venue was last read as a whole, exchange epoch ms; null: not since the start."""

    spot: Annotated[int | None, Meta(description="Spot.", examples=[1795910400000])]
    perp: Annotated[int | None, Meta(description="Futures.", examples=[1795910400000])]

    @classmethod
    def of(cls, read_ms: Mapping[Venue, int]) -> Self:
        return cls(spot=read_ms.get(Venue.SPOT), perp=read_ms.get(Venue.PERP))


class OpenOrderView(Struct, frozen=True, kw_only=True):
    """One open order of the account, whoever placed it. Quantities and prices are exact text."""

    venue: Venue
    symbol: SymbolField
    family: Annotated[
        OrderFamily,
        Meta(
            description="Which endpoint knows it; an algo order is unknown among other orders.",
            examples=["perp.order"],
        ),
    ]
    client_order_id: Annotated[
        str, Meta(description="The order's own client id.", examples=["s1-4711-entry"])
    ]
    order_id: Annotated[
        str,
        Meta(
            description="`orderId`, `algoId` or `orderListId`; empty before the acknowledgement.",
            examples=["8389765"],
        ),
    ]
    side: Annotated[str, Meta(description="Empty for an order list.", examples=["BUY"])]
    type: Annotated[str, Meta(description="The exchange's word.", examples=["LIMIT"])]
    status: Annotated[
        str,
        Meta(
            description="The exchange's word; `planned` or `unknown` before it has said one.",
            examples=["NEW"],
        ),
    ]
    qty: Annotated[str | None, Meta(description="Null: not said.", examples=["0.5"])]
    filled_qty: Annotated[str, Meta(description="As far as known.", examples=["0"])]
    price: Annotated[str | None, Meta(description="Null: it has none.", examples=["67403.8"])]
    trigger_price: Annotated[str | None, Meta(description="Null: it has none.", examples=["67000"])]
    position_side: PositionSideField
    reduce_only: Annotated[bool, Meta(description="As the exchange says it.", examples=[False])]
    ours: Annotated[
        bool, Meta(description="It is in the execution ledger of this service.", examples=[True])
    ]
    label: Annotated[
        str,
        Meta(description="`ours`, or a guess at what placed it, by its id.", examples=["ours"]),
    ]
    entry_id: Annotated[str, Meta(description="Empty without an entry.", examples=["4711"])]
    at: AtField

    @classmethod
    def of(cls, row: OpenOrderRow) -> Self:
        return cls(
            venue=row.venue,
            symbol=row.symbol,
            family=row.family,
            client_order_id=row.client_id,
            order_id=row.order_id,
            side=row.side,
            type=row.type,
            status=row.status,
            qty=exact(row.qty),
            filled_qty=exact_text(row.filled_qty),
            price=exact(row.price),
            trigger_price=exact(row.trigger),
            position_side=row.position_side,
            reduce_only=row.reduce_only,
            ours=row.ours,
            label=row.label,
            entry_id=row.entry_id,
            at=row.at_ms,
        )


class OpenOrderListView(Struct, frozen=True, kw_only=True):
    """Ours first, then those of others."""

    read_at: ReadTimes
    total: Annotated[int, Meta(description="How many there are.", examples=[1])]
    orders: tuple[OpenOrderView, ...]


class PositionView(Struct, frozen=True, kw_only=True):
    """One futures position that is not 0."""

    symbol: SymbolField
    position_side: PositionSideField
    qty: Annotated[str, Meta(description="Negative if short.", examples=["-0.5"])]
    entry_price: Annotated[str, Meta(description="Average.", examples=["67403.8"])]
    known_qty: Annotated[
        str,
        Meta(
            description="What the recorded trades give. It differs for some seconds after a "
            "trade; after that reconciliation reports it.",
            examples=["-0.5"],
        ),
    ]
    at: AtField

    @classmethod
    def of(cls, row: PositionRow) -> Self:
        return cls(
            symbol=row.symbol,
            position_side=row.position_side,
            qty=exact_text(row.qty),
            entry_price=exact_text(row.entry_price),
            known_qty=exact_text(row.known_qty),
            at=row.at_ms,
        )


class PositionListView(Struct, frozen=True, kw_only=True):
    """The futures positions of the account."""

    read_at: ReadTimes
    positions: tuple[PositionView, ...]


class BalanceView(Struct, frozen=True, kw_only=True):
    """One asset in one wallet."""

    wallet: Annotated[str, Meta(description="SPOT or FUT.", examples=["SPOT"])]
    asset: Annotated[str, Meta(description="Its code.", examples=["USDT"])]
    free: Annotated[
        str, Meta(description="In FUT the wallet's balance, margin included.", examples=["12.5"])
    ]
    locked: Annotated[str, Meta(description="In orders; 0 in FUT.", examples=["0"])]
    at: AtField

    @classmethod
    def of(cls, row: BalanceRow) -> Self:
        return cls(
            wallet=row.wallet,
            asset=row.asset,
            free=exact_text(row.free),
            locked=exact_text(row.locked),
            at=row.at_ms,
        )


class BalanceListView(Struct, frozen=True, kw_only=True):
    """Assets of both wallets that are not 0."""

    read_at: ReadTimes
    balances: tuple[BalanceView, ...]
