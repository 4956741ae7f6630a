"""The part of the funding capability that works on the stored history."""

import random
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from msgspec import Struct

from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram
from chimera_s1.app.capabilities.funding.complete_amounts import CompleteAmounts
from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates
from chimera_s1.app.capabilities.funding.exchange_time import (
    SIMULATOR_LEAD_MS,
    STREAM_LEAD_MS,
    ExchangeTime,
)
from chimera_s1.app.capabilities.funding.find_gaps import FindGaps
from chimera_s1.app.capabilities.funding.known_contracts import KnownContracts
from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.funding.metrics import (
    SETTLEMENT_DELAY,
    SETTLEMENT_DELAY_BOUNDS_MS,
    SETTLEMENT_DELAY_HELP,
)
from chimera_s1.app.capabilities.funding.refused_records import RefusedRecords
from chimera_s1.app.capabilities.funding.relay_records import CURSOR, RelayRecords, replay_event
from chimera_s1.app.capabilities.funding.report_disputes import ReportDisputes
from chimera_s1.app.capabilities.funding.review_history import ReviewHistory
from chimera_s1.app.capabilities.funding.run_backfills import RunBackfills
from chimera_s1.app.capabilities.funding.run_completions import RunCompletions
from chimera_s1.app.capabilities.funding.settings import FundingSettings
from chimera_s1.app.capabilities.funding.settle_funding import SettleFunding
from chimera_s1.app.capabilities.operations.job_lease import JobLease
from chimera_s1.app.capabilities.operations.relay_log import RelayLog
from chimera_s1.app.capabilities.operations.scoped_job_runs import job_runs_of
from chimera_s1.app.capabilities.operations.wiring import Operations
from chimera_s1.app.change_signal import ChangeSignal
from chimera_s1.app.foundation import Foundation
from chimera_s1.app.settings.types import BinanceEnvironment
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.backoff import Backoff
from chimera_s1.domain.operations.dead_letter import LetterPort
from chimera_s1.domain.ports.funding_events import FundingEvents
from chimera_s1.domain.ports.funding_source import FundingSource
from chimera_s1.domain.ports.funding_store import FundingStore

RETRIES = Backoff(base_ms=500, max_wait_ms=10_000, jitter_ms=0)


class History(Struct, frozen=True):
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


def open_history(  # noqa: PLR0917 (parts by position)
    settings: FundingSettings,
    base: Foundation,
    operations: Operations,
    source: FundingSource,
    events: FundingEvents,
    latest: LatestEstimates,
    known: KnownContracts,
) -> History:
    store, cursors, clock = base.stores.funding, base.stores.cursors, base.clock
    exchange, changes = _exchange_time(settings, operations, latest), ChangeSignal()
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
    return History(
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


def _exchange_time(
    settings: FundingSettings, operations: Operations, latest: LatestEstimates
) -> ExchangeTime:
    perp = next(each for each in operations.patrols if each.venue is Venue.PERP)
    is_simulator = settings.binance_env is BinanceEnvironment.SIMULATOR
    lead_ms = SIMULATOR_LEAD_MS if is_simulator else STREAM_LEAD_MS
    return ExchangeTime(latest, perp.exchange_ms, lead_ms=lead_ms)


def _complete_history(  # noqa: PLR0917 (parts by position)
    source: FundingSource,
    store: FundingStore,
    exchange: ExchangeTime,
    operations: Operations,
    latest: LatestEstimates,
    known: KnownContracts,
    changes: ChangeSignal,
) -> CompleteHistory:
    reports = ReportDisputes(operations.outbox.record)
    refused = RefusedRecords(operations.outbox.record)
    rates = CompleteRates(
        source,
        store,
        exchange_ms=exchange.now_ms,
        contracts=known.facts,
        last_estimate=latest.last_estimate,
        on_dispute=reports.on_dispute,
        on_refused=refused.take,
    )
    amounts = CompleteAmounts(
        source,
        store,
        exchange_ms=exchange.now_ms,
        on_dispute=reports.on_dispute,
        on_refused=refused.take,
    )
    return CompleteHistory(rates, amounts, refused, wake_relay=changes.notify)


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
