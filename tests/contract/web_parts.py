"""The web application over parts in memory, for tests.

As a module it rewrites the committed description of the API:

    python -m tests.contract.web_parts
"""

import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx2
from anyio.abc import TaskGroup
from litestar import Litestar

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.adapters.memory.lease_store import MemoryLeaseStore
from chimera_s1.app.capabilities.execution.entries.use_cases import Entries
from chimera_s1.app.capabilities.execution.read_account import ReadAccount
from chimera_s1.app.capabilities.execution.web.routes import execution_part
from chimera_s1.app.capabilities.funding.find_gaps import FindGaps
from chimera_s1.app.capabilities.funding.read_funding import ReadFunding
from chimera_s1.app.capabilities.funding.web.part import funding_part
from chimera_s1.app.capabilities.instruments.instrument_catalog import InstrumentCatalog
from chimera_s1.app.capabilities.instruments.read_instruments import ReadInstruments
from chimera_s1.app.capabilities.instruments.run_syncs import RunSyncs
from chimera_s1.app.capabilities.instruments.sync_instruments import SyncInstruments
from chimera_s1.app.capabilities.instruments.web.part import instruments_part
from chimera_s1.app.capabilities.market.current_status import CurrentStatus
from chimera_s1.app.capabilities.market.quote_board import (
    QuoteBoard,
    QuoteFilter,
    QuoteSubscription,
)
from chimera_s1.app.capabilities.market.web.part import market_part
from chimera_s1.app.capabilities.operations.handle_dead_letters import HandleDeadLetters
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.keep_dead_letters import KeepDeadLetters
from chimera_s1.app.capabilities.operations.report_health import ReportHealth
from chimera_s1.app.capabilities.operations.run_jobs import RunJobs
from chimera_s1.app.capabilities.operations.track_trading_mode import TrackTradingMode
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.app.capabilities.operations.web.dead_letter_routes import dead_letters_part
from chimera_s1.app.capabilities.operations.web.job_routes import jobs_part
from chimera_s1.app.capabilities.operations.web.routes import health_part
from chimera_s1.app.capabilities.trading_mode.halt_ledger import HALT_LEDGER, HaltLedger
from chimera_s1.app.capabilities.trading_mode.read_mode import ReadMode
from chimera_s1.app.capabilities.trading_mode.web.routes import mode_part
from chimera_s1.app.capabilities.treasury.project_transfers import build_transfer_projector
from chimera_s1.app.capabilities.treasury.read_transfers import ReadTransfers
from chimera_s1.app.capabilities.treasury.resolve_transfers import ResolveTransfers
from chimera_s1.app.capabilities.treasury.web.part import treasury_part
from chimera_s1.app.capability import Capability, Job
from chimera_s1.app.web.access.control_access import ControlAccess
from chimera_s1.app.web.application import undescribed_web_app
from chimera_s1.app.web.connection_protocol import LIMITS, ConnectionLimits
from chimera_s1.app.web.connections import Connections
from chimera_s1.app.web.server import (
    GRACEFUL_STOP_TIMEOUT_S,
    STUCK_READER_TIMEOUT_MS,
    HttpServer,
    bind,
)
from chimera_s1.app.web.web_part import WebPart
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.market.health import StreamStoreReport
from chimera_s1.domain.market.publisher_report import PublisherReport
from chimera_s1.domain.operations.clock_skew import ClockOffset
from chimera_s1.domain.operations.health import HealthReport, HealthSource
from chimera_s1.domain.operations.level_grace import GraceLimit
from chimera_s1.domain.operations.rate_limit import RateLimit
from chimera_s1.domain.operations.reports import ClockReport, LoopReport
from chimera_s1.domain.operations.schedule import Every
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.event_store import EventStore
from chimera_s1.domain.ports.operations_log import EventDetail
from chimera_s1.domain.ports.token_store import TokenStore
from tests.fakes.backfill import RequestedBackfill
from tests.fakes.dead_letters import MemoryDeadLetters
from tests.fakes.funding_store import FakeFundingStore
from tests.fakes.instrument_registry import FakeInstrumentRegistry
from tests.fakes.instrument_source import MemoryInstrumentSource
from tests.fakes.kill_switch import MemoryKillSwitch
from tests.fakes.ledger_stores import FaultyEventStore
from tests.fakes.manual_clock import ManualClock
from tests.fakes.watched_venue import MemoryWatchedVenue
from tests.sample_instruments import BTC_PERP, BTC_SPOT
from tests.treasury_harness import TreasuryHarness, TreasuryInstance, untyped

DESCRIPTION = Path(__file__).with_name("openapi.json")

REDIS_WELL = StreamStoreReport(reachable=True, pending=0, merging_windows=False, cause="")
REDIS_GONE = StreamStoreReport(
    reachable=False, pending=0, merging_windows=False, cause="connection refused"
)

NOW_MS = 1_000
READER_TOKEN, READER = make_token(
    "reader", b"r" * 32, actor="a-reader", scopes=[Scope.READ], created_at=0
)


class WatchedBoard(QuoteBoard):
    """A board that signals when a reader subscribes and when it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.came = anyio.Event()
        self.left = anyio.Event()
        self.reader: QuoteSubscription | None = None

    @asynccontextmanager
    async def subscribe(
        self, quote_filter: QuoteFilter, actor: str = ""
    ) -> AsyncIterator[QuoteSubscription]:
        try:
            async with super().subscribe(quote_filter, actor) as self.reader:
                self.came.set()
                yield self.reader
        finally:
            self.left.set()


class Treasury:
    """An instance of the treasury, and its use cases that only the web shows; it works once `start`
    was called.
    """

    def __init__(
        self, world: TreasuryHarness | None = None, instance: TreasuryInstance | None = None
    ) -> None:
        self.world = world or TreasuryHarness()
        self.instance = instance or TreasuryInstance(self.world)
        ledger, clock = self.instance.ledger, self.world.clock
        self.reads = ReadTransfers(
            ledger,
            self.world.projection,
            clock=clock,
            limits=lambda: self.world.switches.limits,
        )
        self.resolutions = ResolveTransfers(
            ledger,
            clock,
            exchange_ms=lambda: float(self.world.gateway.exchange_ms),
            timing=self.world.timing,
        )
        self.projector = build_transfer_projector(
            self.world.store, self.world.projection, self.world.cursors, ledger.changes, clock
        )

    def start(self, tasks: TaskGroup) -> None:
        self.instance.start(tasks)
        tasks.start_soon(self.projector.run)


def _build_mode(store: EventStore, clock: Clock) -> tuple[HaltLedger, ReadMode]:
    ids = count(1)
    tracked = TrackTradingMode(lambda _, __: None)
    ledger = HaltLedger(
        store,
        tracked.apply,
        clock=clock,
        new_id=lambda: f"id-{next(ids)}",
        draw=lambda: 0.0,
        read_relayed_seq=partial(MemoryCursorStore().read, "ops:events/mode"),
    )
    switch = WatchKillSwitch(MemoryKillSwitch(), clock, lambda _, __: None)
    gate = TradingGate(kill_switch_on=switch.is_on, mode=tracked.mode, mode_known=tracked.known)
    return ledger, ReadMode(tracked, switch, gate, ledger)


class WebParts:
    """The application, and the parts a test moves.

    Attributes:
    only: Capabilities whose routes the application has; all if empty. Registering all costs more
        than most tests.
    """

    def __init__(
        self,
        board: QuoteBoard | None = None,
        render_metrics: Callable[[], bytes] = lambda: b"s1_example 1.0\n",
        *,
        tokens: TokenStore | None = None,
        treasury: Treasury | None = None,
        account: ReadAccount | None = None,
        entries: Entries | None = None,
        limit: RateLimit = RateLimit(per_s=20, burst=40),  # noqa: B008 (it is frozen)
        only: Collection[str] = (),
    ) -> None:
        self.board = board or QuoteBoard()
        self.redis: HealthReport = REDIS_WELL
        self.clock = ManualClock(NOW_MS)
        self.venues = {venue: MemoryWatchedVenue(venue) for venue in Venue}
        self.publisher = PublisherReport(publishing=True, lease="s1:lease:publisher:test")
        self.status = CurrentStatus(self.venues.values(), lambda: self.publisher, self.clock)
        self.events: list[tuple[str, EventDetail]] = []
        self.access = ControlAccess(
            tokens,
            limit=limit,
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
        )
        self.health = ReportHealth(
            self.clock,
            shard="0/1",
            version="1.2.3",
            mode=lambda: TradingMode.NORMAL,
            grace=GraceLimit(0),
        )
        for source in (
            HealthSource("redis", lambda: self.redis, required=True),
            HealthSource(
                "clock.spot", lambda: ClockReport(ClockOffset(1500.0, 20.0), 1.0), required=False
            ),
            HealthSource("loop", lambda: LoopReport(3.0), required=True),
        ):
            self.health.register(source)
        self.jobs = self._jobs()
        self.redis_letters, self.store_letters = MemoryDeadLetters(), MemoryDeadLetters()
        self.letters = self._letters()
        self.treasury = treasury or Treasury()
        self.catalog = InstrumentCatalog()
        self.listed = MemoryInstrumentSource([BTC_PERP, BTC_SPOT])
        self.syncs = self._syncs()
        self.funding, self.backfills = FakeFundingStore(), RequestedBackfill()
        self.contracts: dict[Symbol, ContractFacts] = {}
        self.exchange_known = True
        self.halt_store = FaultyEventStore(HALT_LEDGER)
        self.halt, self.mode = _build_mode(self.halt_store, self.clock)
        parts = {
            "instruments": instruments_part(ReadInstruments(self.catalog), self.syncs),
            "funding": self._funding_part(),
            "market": market_part(self.board, self.status),
            "treasury": treasury_part(
                self.treasury.instance.requests, self.treasury.reads, self.treasury.resolutions
            ),
            "account": execution_part(account or ReadAccount(None), entries or Entries(None)),
            "mode": mode_part(self.halt, self.mode),
            "health": health_part(self.health, render_metrics),
            "jobs": jobs_part(self.jobs),
            "dead letters": dead_letters_part(self.letters),
        }
        served = [parts[name] for name in only or parts]
        self.app: Litestar = undescribed_web_app(served, self.access)  # most tests read none

    def _syncs(self) -> RunSyncs:
        sync = SyncInstruments(
            self.listed,
            FakeInstrumentRegistry(),
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
            risk_limits=None,
            wake_readers=lambda: None,
            on_refused=lambda _: None,
        )
        return RunSyncs(sync, self.catalog, tuple(Venue))

    def _funding_part(self) -> WebPart:
        gaps = FindGaps(
            self.funding,
            contracts=lambda: self.contracts,
            exchange_ms=self._exchange_ms,
            history_days=90,
            clock=self.clock,
        )
        read = ReadFunding(self.funding, self.catalog, gaps, self._exchange_ms)
        return funding_part(read, self.backfills)

    def _exchange_ms(self) -> int:
        if not self.exchange_known:
            raise ClockUncertainError("the exchange's clock is not known")
        return self.clock.now_ms()

    def _jobs(self) -> RunJobs:
        """One job, which has not run yet."""

        async def scan() -> str:
            return "skew 3 ms"

        every = Every(10_000)
        job = Job(name="clock.spot", schedule=every, run=scan, each_instance=True, at_start=True)
        leases = MemoryLeaseStore(self.clock)
        return RunJobs(
            [Capability(name="operations", jobs=(job,))],
            JobLease("jobs", leases, "s1-a", self.clock),
            MemoryJobRuns(),
            MemoryJobRuns(),
            may_own=True,
            instance="s1-a",
            clock=self.clock,
            record=lambda kind, detail: self.events.append((kind, detail)),
            draw=lambda: 0.0,
        )

    def _letters(self) -> HandleDeadLetters:
        def record(kind: str, detail: EventDetail) -> None:
            self.events.append((kind, detail))

        places = {"redis": self.redis_letters, "store": self.store_letters}
        keep = KeepDeadLetters(places, limit=1_000, clock=self.clock, record=record)
        return HandleDeadLetters(keep, record)

    def client(self) -> httpx2.AsyncClient:
        """A client of the application, without a socket between them."""
        transport = httpx2.ASGITransport(untyped(self.app))  # their types of ASGI differ
        return httpx2.AsyncClient(transport=transport, base_url="http://s1", trust_env=False)


@asynccontextmanager
async def serving(
    parts: WebParts,
    *,
    port: int = 0,
    stuck_reader_ms: int = STUCK_READER_TIMEOUT_MS,
    graceful_stop_s: int = GRACEFUL_STOP_TIMEOUT_S,
    connections: Connections | None = None,
    limits: ConnectionLimits = LIMITS,
) -> AsyncIterator[HttpServer]:
    """The application on a real socket, stopped as the runtime stops it."""
    listener = bind("127.0.0.1", port, stuck_reader_ms=stuck_reader_ms)
    server = HttpServer(
        parts.app,
        listener,
        parts.board.close,
        connections=connections,
        limits=limits,
        graceful_stop_s=graceful_stop_s,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve)
        try:
            yield server
        finally:
            server.stop()


def description() -> dict[str, Any]:
    """The document at `/schema/openapi.json`, without the version of the release."""
    document: dict[str, Any] = json.loads(_description_text())
    del document["info"]["version"]
    return document


@cache
def _description_text() -> str:
    return json.dumps(WebParts().app.openapi_schema.to_schema())


if __name__ == "__main__":
    DESCRIPTION.write_text(json.dumps(description(), indent=2) + "\n", encoding="utf-8")
