"""Response bodies of the treasury's routes."""

from typing import Annotated, Self, assert_never

from msgspec import Meta, Struct, field

from chimera_s1.app.capabilities.treasury.read_transfers import LimitsToday, TransferOrRow
from chimera_s1.app.capabilities.treasury.web.transfer_response import (
    ResultField,
    TransferKey,
    result_of,
)
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.transfer_projection import TransferRow
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.limits import ASSET, Direction, Wallet
from chimera_s1.domain.treasury.transfer import Phase, Transfer, TransferStatus

_Exact = Annotated[
    str,
    Meta(
        description="USDT, exact decimal.",
        pattern=r"^-?[0-9]+(\.[0-9]{1,8})?$",
        examples=["250.5"],
    ),
]
_Usdt = Annotated[float, Meta(description="The same amount as a float64.", examples=[250.5])]


class TransferView(Struct, frozen=True, kw_only=True):
    """A transfer and its progress."""

    transfer_id: TransferKey
    result: ResultField
    state: Annotated[TransferStatus, Meta(description="The result as a state.", examples=["DONE"])]
    phase: Annotated[
        Phase,
        Meta(
            description="Internal phase; `unknown`: sent, outcome not known yet; `rejected`: "
            "refused by a rule, nothing was sent.",
            examples=["done"],
        ),
    ]
    source: Annotated[
        Wallet, Meta(description="The wallet that is debited.", examples=["SPOT"])
    ] = field(name="from")
    target: Annotated[
        Wallet, Meta(description="The wallet that is credited.", examples=["FUT"])
    ] = field(name="to")
    asset: Annotated[str, Meta(description="The asset moved.", examples=["USDT"])] = ASSET
    amount: _Exact
    amount_usdt: _Usdt
    reason: Annotated[str, Meta(description="As given; may be empty.", examples=["margin"])]
    tran_id: Annotated[
        str,
        Meta(
            description="The exchange's id of the movement; empty if not known.",
            examples=["13526853623"],
        ),
    ]
    message: Annotated[
        str, Meta(description="Reason for the current state; may be empty.", examples=[""])
    ]
    attempts: Annotated[int, Meta(description="Requests sent to the exchange.", examples=[1])]
    verified: Annotated[
        bool, Meta(description="The exchange's history shows the movement.", examples=[True])
    ]
    disputed: Annotated[bool, Meta(description="The evidence is contradictory.", examples=[False])]
    corrected: Annotated[
        bool, Meta(description="It was recorded as failed before.", examples=[False])
    ]
    in_review: Annotated[bool, Meta(description="An operator must check it.", examples=[False])]
    created_at: Annotated[
        int, Meta(description="When it was accepted, local epoch ms.", examples=[1772514460893])
    ]
    day: Annotated[
        str,
        Meta(description="The UTC day whose cap it counts against.", examples=["2026-03-03"]),
    ]

    @classmethod
    def of(cls, transfer: TransferOrRow) -> Self:
        match transfer:
            case Transfer():
                return cls._of_transfer(transfer)
            case TransferRow():
                return cls._of_row(transfer)
            case _:
                assert_never(transfer)

    @classmethod
    def _of_transfer(cls, transfer: Transfer) -> Self:
        return cls(
            transfer_id=transfer.transfer_id,
            result=result_of(transfer.status),
            state=transfer.status,
            phase=transfer.phase,
            source=transfer.direction.source,
            target=transfer.direction.target,
            amount=exact_text(transfer.amount),
            amount_usdt=float(transfer.amount),
            reason=transfer.reason,
            tran_id=transfer.tran_id,
            message=transfer.public_message,
            attempts=transfer.attempt,
            verified=transfer.verified,
            disputed=transfer.disputed,
            corrected=transfer.corrected,
            in_review=transfer.in_review,
            created_at=transfer.accepted_at,
            day=transfer.day,
        )

    @classmethod
    def _of_row(cls, row: TransferRow) -> Self:
        return cls(
            transfer_id=row.transfer_id,
            result=result_of(TransferStatus(row.status)),
            state=TransferStatus(row.status),
            phase=Phase(row.phase),
            source=Wallet(row.from_wallet),
            target=Wallet(row.to_wallet),
            asset=row.asset,
            amount=row.amount,
            amount_usdt=row.amount_usdt,
            reason=row.reason,
            tran_id=row.tran_id,
            message=row.message,
            attempts=row.attempts,
            verified=row.verified,
            disputed=row.disputed,
            corrected=row.corrected,
            in_review=row.in_review,
            created_at=row.created_at,
            day=utc_day(row.created_at),
        )


class TransferListView(Struct, frozen=True, omit_defaults=True):
    """A page of transfers, newest first."""

    transfers: tuple[TransferView, ...]
    next_cursor: Annotated[
        str, Meta(description="Send it as `cursor` for the next page; omitted on the last page.")
    ] = ""


class LimitsView(Struct, frozen=True, kw_only=True):
    """Limits in force and use of the daily cap; each amount exact and as a float64."""

    directions: Annotated[
        tuple[Direction, ...],
        Meta(description="Allowed directions.", examples=[["SPOT_TO_FUT"]]),
    ]
    min: _Exact
    min_usdt: _Usdt
    max: _Exact
    max_usdt: _Usdt
    daily_cap: _Exact
    daily_cap_usdt: _Usdt
    used: _Exact
    used_usdt: _Usdt
    left: _Exact
    left_usdt: _Usdt
    day: Annotated[str, Meta(description="The UTC day of the cap.", examples=["2026-03-03"])]

    @classmethod
    def of(cls, today: LimitsToday) -> Self:
        limits = today.limits
        return cls(
            directions=limits.directions,
            min=exact_text(limits.min),
            min_usdt=float(limits.min),
            max=exact_text(limits.max),
            max_usdt=float(limits.max),
            daily_cap=exact_text(limits.daily_cap),
            daily_cap_usdt=float(limits.daily_cap),
            used=exact_text(today.used),
            used_usdt=float(today.used),
            left=exact_text(today.left),
            left_usdt=float(today.left),
            day=today.day,
        )
