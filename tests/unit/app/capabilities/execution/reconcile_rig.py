"""Reconciliation on virtual time, against an exchange in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count

import anyio
from msgspec.structs import replace

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.event_store import LedgerContents
from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.app.capabilities.execution.read_trades import ReadTrades
from chimera_s1.app.capabilities.execution.reconcile_account import ReconcileAccount
from chimera_s1.app.capabilities.execution.reconcile_venue import ReconcileVenue
from chimera_s1.domain.execution.events import OrderPlanned
from chimera_s1.domain.execution.order_request import OrderRequest
from chimera_s1.domain.execution.reconciliation_report import (
    Reconciliation,
    VenueReconciliation,
)
from chimera_s1.domain.execution.reports import FillReport, OrderReport
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.exchange_account import FakeExchangeAccount
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.manual_clock import ManualClock, settle
from tests.unit.domain.execution.test_observation import LIMIT, planned, said, trade

_ids = count()


class Shared:
    """What all replicas share: the exchange, and the store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.exchange = FakeExchangeAccount(self.clock)
        self.contents = LedgerContents()
        self.cursors = MemoryCursorStore()


class Replica:
    def __init__(self, shared: Shared) -> None:
        self.clock = shared.clock
        self.exchange = shared.exchange
        self.store = FaultyEventStore("execution", shared.contents)
        self.events: list[tuple[str, EventDetail]] = []
        self.ledger = ExecutionLedger(
            self.store,
            clock=self.clock,
            new_id=lambda: f"commit-{next(_ids)}",
            draw=lambda: 0.0,
            report_unknown=lambda kind, detail: self.events.append((kind, {**detail})),
        )
        self.picture = AccountPicture(self.ledger.state)
        self.served: tuple[Symbol, ...] = ()
        self.reconcile = ReconcileAccount(
            [self._venue(venue, shared) for venue in Venue],
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
        )

    def _venue(self, venue: Venue, shared: Shared) -> ReconcileVenue:
        return ReconcileVenue(
            venue,
            ledger=self.ledger,
            account=self.exchange,
            find=self.exchange.find,
            trades=ReadTrades(
                venue,
                self.exchange,
                shared.cursors,
                self.ledger.state,
                served=lambda: self.served,
            ),
            picture=self.picture,
            clock=self.clock,
            exchange_ms=lambda _: float(self.clock.now_ms()),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The first round has ended."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.reconcile.run)
            await settle()
            yield
            tasks.cancel_scope.cancel()

    async def round(self) -> Reconciliation:
        """One that begins now, or when it may."""
        results: list[Reconciliation] = []

        async def ask() -> None:
            results.append(await self.reconcile.reconcile())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await settle()
            await self.clock.advance(2_000)
        return results[0]

    async def perp(self) -> VenueReconciliation:
        return (await self.round()).venues[list(Venue).index(Venue.PERP)]

    async def place(self, request: OrderRequest = LIMIT, *, exchange_id: str = "7") -> OrderReport:
        """The order is planned, acknowledged and at the exchange."""
        event: OrderPlanned = replace(planned(request), signed_at_ms=self.clock.now_ms())
        await self.ledger.plan(event, "test")
        report = replace(
            said("NEW", 0, self.clock.now_ms()),
            client_id=request.client_id,
            exchange_id=exchange_id,
        )
        self.exchange.say(report)
        await self.ledger.record("test", report)
        return report

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


def fill(number: int, clock: ManualClock, *, qty: int = 1, order: str = "7") -> FillReport:
    """Of our order `7`, or of somebody else's."""
    return replace(
        trade(str(number), order_id=order, client_id=""),
        qty=Decimal(abs(qty)),
        side="BUY" if qty > 0 else "SELL",
        at_ms=clock.now_ms(),
    )
