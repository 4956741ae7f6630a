"""Entries over a ledger and an exchange in memory; instances can be killed and restarted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
from msgspec import structs

from chimera_s1.app.capabilities.execution.entries.accept_entries import (
    AcceptEntries,
    EntryPicture,
    EntryRequest,
)
from chimera_s1.app.capabilities.execution.entries.cancel_entries import CancelEntries
from chimera_s1.app.capabilities.execution.entries.entry_ledger import EntryLedger
from chimera_s1.app.capabilities.execution.entries.read_entries import ReadEntries
from chimera_s1.app.capabilities.execution.entries.run_entries import RunEntries
from chimera_s1.app.capabilities.execution.entries.situations import BuildSituation, Surroundings
from chimera_s1.app.capabilities.execution.entries.use_cases import Entries, EntryParts
from chimera_s1.domain.canonical import canonical_hash
from chimera_s1.domain.execution.entries.admission import AdmissionFacts, EntryLimits, TopOfBook
from chimera_s1.domain.execution.entries.entry import Entry
from chimera_s1.domain.execution.entries.events import EntryAlarmed, EntryStatus
from chimera_s1.domain.execution.entries.order_ids import OrderRole, order_id
from chimera_s1.domain.execution.entries.specs import EntrySpec, FuturesEntrySpec
from chimera_s1.domain.execution.order_request import PerpAlgoOrder, Side
from chimera_s1.domain.execution.order_rules_check import CurrentPrices
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.instruments.instrument import InstrumentSpec
from chimera_s1.domain.ports.event_store import EventStore
from tests.execution_harness import BTC, ExecutionHarness, ExecutionInstance, running

ENTRY_ID = "s4-1"
FUTURES = FuturesEntrySpec(
    symbol=BTC,
    side=Side.BUY,
    qty=Decimal(2),
    limit_price=Decimal(100),
    stop_price=Decimal(90),
    timeout_ms=10_000,
)
INSTRUMENT = InstrumentSpec(
    instrument=InstrumentId(Venue.PERP, BTC),
    status="TRADING",
    base_asset="BTC",
    quote_asset="USDT",
    tick_size=Decimal("0.1"),
    step_size=Decimal("0.001"),
    market_step_size=Decimal("0.001"),
    order_types=("LIMIT", "MARKET", "STOP_MARKET"),
    times_in_force=("GTC", "IOC", "FOK", "GTX"),
)
PRICES = CurrentPrices(bid=Decimal(100), ask=Decimal("100.1"))


def client_id(role: OrderRole, number: int = 1) -> str:
    return order_id(ENTRY_ID, role, number)


class EntryInstance:
    """The entry use cases of one process.

    Attributes:
        drives: Whether it has the leases.
        venues: Those that it serves.
        alarms: That it has raised.
    """

    def __init__(
        self,
        world: ExecutionHarness,
        *,
        store: EventStore | None = None,
        prices: CurrentPrices = PRICES,
    ) -> None:
        self._prices = prices
        self.orders = ExecutionInstance(world, store=store)
        self.world = world
        self.drives = True
        self.venues: tuple[Venue, ...] = tuple(Venue)
        self.alarms: list[EntryAlarmed] = []
        self.limits = EntryLimits(
            max_usdt=Decimal(1_000), daily_cap=Decimal(1_000), quote_age_ms=1_000
        )
        ledger = self.orders.ledger
        self.ledger = EntryLedger(ledger)
        build = BuildSituation(
            ledger.state,
            self.ledger,
            Surroundings(
                spec=lambda _: INSTRUMENT,
                prices=lambda _: prices,
                free=lambda _: Decimal(10_000),
                hold_ms=lambda _: 0.0,
                positions_known=lambda: True,
            ),
            self.orders.in_flight,
        )
        self.run = RunEntries(
            ledger,
            self.ledger,
            build,
            place=self.orders.placing,
            cancel=self.orders.cancelling,
            gateway=world.exchange,
            clock=world.clock,
            now_ms=lambda _: round(world.exchange.now_ms()),
            is_mine=lambda venue: self.drives and venue in self.venues,
            on_alarm=self._alarm,
        )
        self.read = ReadEntries(ledger.state.entries, self.ledger, build, self._now_ms)
        self.cancelling = CancelEntries(self.ledger, self.read, self._now_ms)
        self.accepting = AcceptEntries(
            self.ledger,
            self.orders.placing,
            self.read.picture,
            facts=self._facts,
            closed=self.orders.placing.closed,
            now_ms=self._now_ms,
        )

    @property
    def use_cases(self) -> Entries:
        """What the web shows of it."""
        return Entries(EntryParts(accept=self.accepting, read=self.read, cancel=self.cancelling))

    async def accept(self, spec: EntrySpec = FUTURES, *, key: str = ENTRY_ID) -> EntryPicture:
        request = EntryRequest(entry_id=key, spec=spec, body_hash=canonical_hash(spec))
        return await self.accepting.accept(request, "s4")

    async def cancel(self, *, disarm: bool = False) -> EntryPicture:
        return await self.cancelling.cancel(ENTRY_ID, Venue.PERP, disarm=disarm, actor="s4")

    async def fill(self, qty: str, trade_id: str, role: OrderRole = OrderRole.ENTRY) -> None:
        """Fill an order of the entry, and let the private stream say so."""
        self.orders.streams[Venue.PERP].send(
            *self.world.exchange.fill(client_id(role), qty, trade_id)
        )
        await self.settle()

    async def settle(self, after_ms: float = 1_000) -> None:
        await self.world.clock.sleep_ms(after_ms)

    @property
    def entry(self) -> Entry:
        return self.orders.ledger.state.entries.entries[ENTRY_ID]

    @property
    def status(self) -> EntryStatus:
        return self.entry.status

    def stops(self) -> list[PerpAlgoOrder]:
        """Every stop that has arrived at the exchange, in order."""
        return [sent for sent in self.world.exchange.sent if isinstance(sent, PerpAlgoOrder)]

    def _alarm(self, _entry: Entry, alarm: EntryAlarmed) -> None:
        self.alarms.append(alarm)

    def _now_ms(self, _spec: EntrySpec) -> int:
        return round(self.world.exchange.now_ms())

    def _facts(self, spec: EntrySpec) -> AdmissionFacts:
        book = self.orders.ledger.state.entries
        return AdmissionFacts(
            instrument=structs.replace(INSTRUMENT, instrument=spec.instrument),
            limits=self.limits,
            used_today=book.accepted_usdt(self._now_ms(spec)),
            book=TopOfBook(
                bid=self._prices.bid, ask=self._prices.ask, spread_bps=1.0, depth_usdt=1e6, age_ms=0
            ),
            risk=None,
            hedge_mode=False,
            position_qty=Decimal(0),
            open_entries=tuple(entry.spec for entry in book.open_entries()),
            conditional_orders=0,
            agreement_refusal="",
        )


@asynccontextmanager
async def running_entries(instance: EntryInstance) -> AsyncIterator[EntryInstance]:
    """All its workers."""
    async with running(instance.orders), anyio.create_task_group() as tasks:
        tasks.start_soon(instance.run.run)
        yield instance
        tasks.cancel_scope.cancel()
