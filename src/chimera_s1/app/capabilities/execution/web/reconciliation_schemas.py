"""The result of a reconciliation as the HTTP API shows it."""

from typing import Annotated, Self

from msgspec import Meta, Struct

from chimera_s1.app.capabilities.execution.web.schemas import SymbolField
from chimera_s1.domain.execution.foreign_orders import ForeignOrder
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.reconciliation import Difference, DifferenceKind, Repair
from chimera_s1.domain.execution.reconciliation_report import (
    BalanceCorrection,
    FirstPosition,
    Reconciliation,
    VenueReconciliation,
)
from chimera_s1.domain.execution.reports import OrderReport
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.money import exact_text

FOREIGN_MAX = 500


class RepairView(Struct, frozen=True, kw_only=True):
    """An order of ours that was brought up to date."""

    client_order_id: Annotated[str, Meta(description="Its own.", examples=["s1-4711-entry"])]
    symbol: SymbolField
    family: OrderFamily
    before: Annotated[str, Meta(description="State and filled quantity.", examples=["NEW 0"])]
    after: Annotated[str, Meta(description="The same now.", examples=["FILLED 0.5"])]

    @classmethod
    def of(cls, repair: Repair) -> Self:
        return cls(
            client_order_id=repair.client_id,
            symbol=repair.symbol,
            family=repair.family,
            before=repair.before,
            after=repair.after,
        )


class ForeignOrderView(Struct, frozen=True, kw_only=True):
    """An open order that others placed; it is never touched."""

    client_order_id: Annotated[str, Meta(description="Its own.", examples=["s4-77"])]
    order_id: Annotated[str, Meta(description="The exchange's.", examples=["8389766"])]
    symbol: SymbolField
    side: Annotated[str, Meta(description="Empty for an order list.", examples=["SELL"])]
    type: Annotated[str, Meta(description="The exchange's word.", examples=["LIMIT"])]
    status: Annotated[str, Meta(description="The exchange's word.", examples=["NEW"])]
    label: Annotated[str, Meta(description="A guess by its id.", examples=["s4"])]

    @classmethod
    def of(cls, order: ForeignOrder) -> Self:
        report = order.report
        return cls(
            client_order_id=report.client_id,
            order_id=report.exchange_id,
            symbol=report.symbol,
            side=report.side if isinstance(report, OrderReport) else "",
            type=report.type if isinstance(report, OrderReport) else "OCO",
            status=report.status,
            label=order.label,
        )


class DifferenceView(Struct, frozen=True, kw_only=True):
    """What stays different between the account and the ledger."""

    kind: DifferenceKind
    subject: Annotated[str, Meta(description="A client id or a symbol.", examples=["BTCUSDT"])]
    text: Annotated[str, Meta(description="Both values, and what to do.", examples=["..."])]

    @classmethod
    def of(cls, difference: Difference) -> Self:
        return cls(kind=difference.kind, subject=difference.subject, text=difference.text)


class FirstPositionView(Struct, frozen=True, kw_only=True):
    """A position from before the ledger's first trade; its quantity is used as it is."""

    symbol: SymbolField
    position_side: Annotated[str, Meta(description="BOTH in one-way mode.", examples=["BOTH"])]
    qty: Annotated[str, Meta(description="Negative if short.", examples=["-0.5"])]

    @classmethod
    def of(cls, first: FirstPosition) -> Self:
        return cls(
            symbol=first.symbol, position_side=first.position_side, qty=exact_text(first.qty)
        )


class BalanceCorrectionView(Struct, frozen=True, kw_only=True):
    """A balance that no event of the private stream has said."""

    wallet: Annotated[str, Meta(description="SPOT or FUT.", examples=["SPOT"])]
    asset: Annotated[str, Meta(description="Its code.", examples=["BNB"])]
    before: Annotated[str, Meta(description="Free and locked together.", examples=["1"])]
    after: Annotated[str, Meta(description="The same now.", examples=["0.999"])]

    @classmethod
    def of(cls, correction: BalanceCorrection) -> Self:
        return cls(
            wallet=correction.wallet,
            asset=correction.asset,
            before=exact_text(correction.before),
            after=exact_text(correction.after),
        )


class VenueReconciliationView(Struct, frozen=True, kw_only=True):
    """What was found on one venue."""

    venue: Venue
    matched: Annotated[
        int, Meta(description="Open orders of ours that the exchange lists.", examples=[2])
    ]
    repaired: tuple[RepairView, ...]
    missed_fills: Annotated[
        int,
        Meta(description="Trades that no event had said; recorded now.", examples=[0]),
    ]
    foreign_total: Annotated[int, Meta(description="Open orders of others.", examples=[1])]
    foreign: Annotated[
        tuple[ForeignOrderView, ...], Meta(description=f"At most {FOREIGN_MAX} of them.")
    ]
    young: Annotated[
        tuple[str, ...],
        Meta(
            description="Orders of ours that are not listed, and too young to say more.",
            examples=[[]],
        ),
    ]
    differences: tuple[DifferenceView, ...]
    first_positions: tuple[FirstPositionView, ...]
    corrected_balances: tuple[BalanceCorrectionView, ...]
    undecided: Annotated[
        bool, Meta(description="A position differs; the next round decides.", examples=[False])
    ]
    trades_read: Annotated[
        tuple[str, ...],
        Meta(
            description="Symbols whose trades were read in this round. Trades of others in any "
            "other symbol are known from the private streams only; those of a time when no stream "
            "was followed are missing.",
            examples=[["BTCUSDT"]],
        ),
    ]
    problems: Annotated[
        tuple[str, ...],
        Meta(description="What could not be read or recorded, and why.", examples=[[]]),
    ]

    @classmethod
    def of(cls, found: VenueReconciliation) -> Self:
        return cls(
            venue=found.venue,
            matched=len(found.matched),
            repaired=tuple(map(RepairView.of, found.repaired)),
            missed_fills=found.missed_fills_count,
            foreign_total=len(found.foreign),
            foreign=tuple(map(ForeignOrderView.of, found.foreign[:FOREIGN_MAX])),
            young=found.young,
            differences=tuple(map(DifferenceView.of, found.differences)),
            first_positions=tuple(map(FirstPositionView.of, found.first_positions)),
            corrected_balances=tuple(map(BalanceCorrectionView.of, found.corrected_balances)),
            undecided=found.undecided,
            trades_read=found.trades_read,
            problems=found.problems,
        )


class ReconciliationView(Struct, frozen=True, kw_only=True):
    """One comparison of the account with the execution ledger."""

    agrees: Annotated[
        bool,
        Meta(description="Everything was read, and nothing stays different.", examples=[True]),
    ]
    summary: Annotated[
        str,
        Meta(
            description="In one sentence.",
            examples=["spot: 0 matched, 0 foreign; perp: 2 matched, 1 foreign"],
        ),
    ]
    began_at: Annotated[int, Meta(description="Epoch ms.", examples=[1795910400000])]
    ended_at: Annotated[int, Meta(description="Epoch ms.", examples=[1795910400250])]
    venues: tuple[VenueReconciliationView, ...]

    @classmethod
    def of(cls, found: Reconciliation) -> Self:
        return cls(
            agrees=found.agrees,
            summary=found.sentence,
            began_at=found.began_ms,
            ended_at=found.ended_ms,
            venues=tuple(map(VenueReconciliationView.of, found.venues)),
        )
