"""The funding capability, from the settings that choose its parts."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from msgspec import Struct

from chimera_s1.adapters.binance.funding.source import BinanceFundingSource
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.row_reader import RowReader
from chimera_s1.adapters.redis.funding_events import RedisFundingEvents
from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.capabilities.funding.complete_amounts import CompleteAmounts
from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates
from chimera_s1.app.capabilities.funding.estimates_wiring import PublicationRules, open_estimates
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.find_gaps import FindGaps
from chimera_s1.app.capabilities.funding.findings import ReportFindings
from chimera_s1.app.capabilities.funding.known_contracts import KnownContracts
from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.funding.metrics import (
    SETTLEMENT_DELAY,
    SETTLEMENT_DELAY_BOUNDS_MS,
    SETTLEMENT_DELAY_HELP,
    history_source,
)
from chimera_s1.app.capabilities.funding.read_funding import ReadFunding
from chimera_s1.app.capabilities.funding.relay_records import CURSOR, RelayRecords, replay_event
from chimera_s1.app.capabilities.funding.review_history import ReviewHistory
from chimera_s1.app.capabilities.funding.run_backfills import JOB as BACKFILL_JOB
from chimera_s1.app.capabilities.funding.run_backfills import RunBackfills
from chimera_s1.app.capabilities.funding.run_completions import (
    COMPLETE_JOB,
    REREAD_JOB,
    RunCompletions,
)
from chimera_s1.app.capabilities.funding.settings import FundingSettings
from chimera_s1.app.capabilities.funding.settle_funding import JOB as SETTLEMENTS_JOB
from chimera_s1.app.capabilities.funding.settle_funding import SettleFunding
from chimera_s1.app.capabilities.funding.web.part import funding_part
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.app.capabilities.operations.scoped_job_runs import job_runs_of
from chimera_s1.app.capabilities.operations.wiring import Operations, report_unusable_row
from chimera_s1.app.capability import Capability, Job, JobResult, repeating
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.foundation import Foundation, endpoints_for, exchange_key
from chimera_s1.app.supervisor import Worker
from chimera_s1.domain.errors import ClockUncertainError
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.operations.health import HealthSource
from chimera_s1.domain.operations.schedule import HOUR_MS, MINUTE_MS, Every, daily
from chimera_s1.domain.ports.contract_reader import ContractReader
from chimera_s1.domain.ports.funding_events import FundingEvents
from chimera_s1.domain.ports.funding_source import FundingSource
from chimera_s1.domain.ports.funding_store import FundingStore
from chimera_s1.domain.ports.instrument_reader import InstrumentReader
from chimera_s1.domain.ports.publication import Publication

Run = Callable[[], Awaitable[str | JobResult]]

RETRIES = Backoff(base_ms=500, max_wait_ms=10_000, jitter_ms=0)

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
        key = exchange_key(settings, key_client, operations.spot_patrol.exchange_ms)
        async with BinanceFundingSource(endpoints, base.budgets, key, rows) as source:
            events = RedisFundingEvents(client, maxlen=rules.market_maxlen)
            history = _open_history(
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
                    ),
                ),
                histograms=(history.delay,),
                web=funding_part(
                    ReadFunding(
                        base.stores.funding, instruments, history.find_gaps, history.now_ms
                    ),
                    history.backfills,
                ),
            )


class _History(Struct, frozen=True):
    """The parts that work on the stored history."""

    now_ms: Callable[[], int]
    complete: CompleteHistory
    find_gaps: FindGaps
    settle: SettleFunding
    completions: RunCompletions
    backfills: RunBackfills
    announced: RelayRecords
    relay: RelayLog
    review: ReviewHistory
    delay: LatencyHistogram


def _open_history(  # noqa: PLR0917 (parts by position)
    settings: FundingSettings,
    base: Foundation,
    operations: Operations,
    source: FundingSource,
    events: FundingEvents,
    latest: LatestEstimates,
    known: KnownContracts,
) -> _History:
    store, cursors, clock = base.stores.funding, base.stores.cursors, base.clock
    perp = next(each for each in operations.patrols if each.venue is Venue.PERP)
    exchange, changes = ExchangeTime(latest, perp.exchange_ms), ChangeSignal()
    complete = _complete_history(source, store, exchange, operations, latest, known, changes)
    delay = LatencyHistogram(SETTLEMENT_DELAY, SETTLEMENT_DELAY_HELP, SETTLEMENT_DELAY_BOUNDS_MS)
    settle = SettleFunding(
        complete,
        store,
        exchange=exchange,
        clock=clock,
        draw=random.random,
        observe_delay=delay.observe,
    )
    days = settings.funding_days
    find_gaps = FindGaps(
        store,
        contracts=known.facts,
        exchange_ms=exchange.now_ms,
        history_days=days,
        clock=clock,
    )
    completions = RunCompletions(complete, store, find_gaps, exchange=exchange, history_days=days)
    backfills = RunBackfills(
        complete,
        store,
        cursors=cursors,
        runs=job_runs_of(base.stores.job_runs, settings.venues),
        exchange=exchange,
        clock=clock,
        history_days=days,
        new_id=lambda: uuid4().hex,
    )
    letters = operations.dead_letters
    letters.handle.register(LetterPort.FUNDING_EVENTS, partial(replay_event, events))
    announced = RelayRecords(store, events, letters.take, exchange.now_ms)
    relay = _relay(base, announced, changes)
    review = ReviewHistory(
        store,
        cursors,
        exchange=exchange,
        settle=settle,
        history=complete,
        completions=completions,
        relay=relay,
        history_days=days,
    )
    return _History(
        exchange.now_ms,
        complete,
        find_gaps,
        settle,
        completions,
        backfills,
        announced,
        relay,
        review,
        delay,
    )


def _complete_history(  # noqa: PLR0917 (parts by position)
    source: FundingSource,
    store: FundingStore,
    exchange: ExchangeTime,
    operations: Operations,
    latest: LatestEstimates,
    known: KnownContracts,
    changes: ChangeSignal,
) -> CompleteHistory:
    findings = ReportFindings(operations.outbox.record)
    rates = CompleteRates(
        source,
        store,
        exchange_ms=exchange.now_ms,
        contracts=known.facts,
        last_estimate=latest.last_estimate,
        on_dispute=findings.on_dispute,
        on_refused=findings.on_refused,
    )
    amounts = CompleteAmounts(
        source,
        store,
        exchange_ms=exchange.now_ms,
        on_dispute=findings.on_dispute,
        on_refused=findings.on_refused,
    )
    return CompleteHistory(rates, amounts, wake_relay=changes.notify)


def _relay(base: Foundation, records: RelayRecords, changes: ChangeSignal) -> RelayLog:
    stores = base.stores
    return RelayLog(
        records,
        stores.cursors,
        JobLease(CURSOR, stores.leases, uuid4().hex, base.clock),
        cursor=CURSOR,
        clock=base.clock,
        changes=changes,
        retries=RETRIES,
    )


def _workers(settings: FundingSettings, base: Foundation, history: _History) -> Iterator[Worker]:
    yield repeating("funding review", history.review.review, base.clock)
    # Of shards on SQLite the first one has the history.
    if settings.runs_shared_jobs:
        yield Worker("funding relay", history.relay.run)


def _obstacle(settings: FundingSettings, instruments: InstrumentReader, history: _History) -> str:
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


def _jobs(history: _History, obstacle: Callable[[], str]) -> Iterator[Job]:
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
