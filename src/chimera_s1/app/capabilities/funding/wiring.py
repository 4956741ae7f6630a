"""The funding capability, from the settings that choose its parts."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

from chimera_s1.adapters.binance.funding.source import BinanceFundingSource
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.redis.funding_events import RedisFundingEvents
from chimera_s1.app.capabilities.funding.estimates_wiring import PublicationRules, open_estimates
from chimera_s1.app.capabilities.funding.history_wiring import History, open_history
from chimera_s1.app.capabilities.funding.known_contracts import KnownContracts
from chimera_s1.app.capabilities.funding.metrics import history_source
from chimera_s1.app.capabilities.funding.read_funding import ReadFunding
from chimera_s1.app.capabilities.funding.run_backfills import BACKFILL_JOB
from chimera_s1.app.capabilities.funding.run_completions import COMPLETE_JOB, REREAD_JOB
from chimera_s1.app.capabilities.funding.settings import FundingSettings
from chimera_s1.app.capabilities.funding.settle_funding import SETTLEMENTS_JOB
from chimera_s1.app.capabilities.funding.web.part import funding_part
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.capability import Capability, Job, JobResult, repeating
from chimera_s1.app.foundation import Foundation, endpoints_for, exchange_key
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.schedule import HOUR_MS, MINUTE_MS, Every, daily
from chimera_s1.domain.ports.contract_reader import ContractReader
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.publication import Publication

Run = Callable[[], Awaitable[str | JobResult]]

NOT_READY_MS = 2_000

LIMIT_MS = 2 * HOUR_MS
"""Of a run: when the exchange's limit is exhausted it waits, and what it has read is stored."""


@asynccontextmanager
async def open_funding(  # noqa: PLR0917 (parts by position)
    settings: FundingSettings,
    rules: PublicationRules,
    base: Foundation,
    operations: Operations,
    instruments: InstrumentReader,
    contracts: ContractReader,
    publication: Publication,
) -> AsyncIterator[Capability]:
    """Estimates, settlements and the funding history; nothing without futures."""
    if Venue.PERP not in settings.venues:
        yield Capability(name="funding")
        return
    known = KnownContracts(contracts)

    def on_settled(symbol: Symbol, funding_time: int) -> None:
        known.on_settled(symbol, funding_time)
        if settings.runs_shared_jobs:
            history.settle.on_settled(symbol, funding_time)

    endpoints = endpoints_for(settings, tuple(Venue))
    rows = RowReader(partial(report_unusable_row, operations.outbox))
    async with (
        open_estimates(
            rules, base, operations, instruments, publication, on_settled=on_settled
        ) as estimates,
        HttpClient(endpoints, base.budgets) as key_client,
        base.connect_redis() as client,
    ):
        key = exchange_key(settings, key_client, operations.signing_ms)
        async with BinanceFundingSource(endpoints, base.budgets, key, rows) as source:
            events = RedisFundingEvents(client, maxlen=rules.market_maxlen)
            history = open_history(
                settings, base, operations, source, events, estimates.latest, known
            )
            yield Capability(
                name="funding",
                workers=(*estimates.workers, *_workers(settings, base, history)),
                jobs=tuple(_jobs(history, partial(_obstacle, settings, instruments, history))),
                health=(
                    *estimates.health,
                    HealthSource("funding", history.review.report, required=False),
                ),
                metrics=(
                    *estimates.metrics,
                    history_source(
                        history.complete,
                        history.settle,
                        history.announced,
                        history.relay,
                        history.review,
                        passed_over=lambda: source.passed_over,
                    ),
                ),
                histograms=(history.delay,),
                pending_writes=estimates.pending_writes,
                web=funding_part(
                    ReadFunding(
                        base.stores.funding, instruments, history.find_gaps, history.now_ms
                    ),
                    history.backfills,
                ),
            )


def _workers(settings: FundingSettings, base: Foundation, history: History) -> Iterator[Worker]:
    yield repeating("funding review", history.review.review, base.clock)
    # Of shards on SQLite the first one has the history.
    if settings.runs_shared_jobs:
        yield Worker("funding relay", history.relay.run)


def _obstacle(settings: FundingSettings, instruments: InstrumentReader, history: History) -> str:
    """Why no history can be read yet; empty if it can. At a first start quotes come first: they
    wait for the listings, which need the same store and exchange.
    """
    missing = [venue for venue in settings.venues if instruments.listings(venue) is None]
    if missing:
        return f"waiting for the first listing of {' and '.join(missing)}"
    try:
        history.now_ms()
    except ClockUncertainError as error:
        return f"waiting: {error}"
    return ""


def _jobs(history: History, obstacle: Callable[[], str]) -> Iterator[Job]:
    def when_ready(run: Run) -> Run:
        async def run_when_ready() -> str | JobResult:
            if why := obstacle():
                return JobResult(why, again_ms=NOT_READY_MS)
            return await run()

        return run_when_ready

    yield Job(
        name=SETTLEMENTS_JOB,
        schedule=Every(HOUR_MS),
        run=when_ready(history.settle.settle),
        at_start=True,
        limit_ms=LIMIT_MS,
        wake=history.settle.wake,
    )
    yield Job(
        name=BACKFILL_JOB,
        schedule=daily("02:40"),
        run=when_ready(history.backfills.run),
        at_start=True,
        limit_ms=LIMIT_MS,
    )
    yield Job(
        name=COMPLETE_JOB,
        schedule=daily("00:20", "08:20", "16:20"),
        run=when_ready(history.completions.complete_recent),
        jitter_ms=MINUTE_MS,
        limit_ms=LIMIT_MS,
    )
    yield Job(
        name=REREAD_JOB,
        schedule=daily("03:40"),
        run=when_ready(history.completions.reread_slice),
        jitter_ms=MINUTE_MS,
        limit_ms=LIMIT_MS,
    )
