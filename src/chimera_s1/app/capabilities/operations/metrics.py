"""Metrics of operational events, clocks and health."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from chimera_s1.app.capabilities.operations.handle_dead_letters import HandleDeadLetters
from chimera_s1.app.capabilities.operations.keep_dead_letters import KeepDeadLetters
from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.app.capabilities.operations.run_job import RunJob
from chimera_s1.app.capabilities.operations.run_jobs import RunJobs
from chimera_s1.app.capabilities.operations.watch_kill_switch import WatchKillSwitch
from chimera_s1.app.capabilities.operations.watch_store import WatchStore
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import ClockSkew
from chimera_s1.domain.operations.health import HealthComponent
from chimera_s1.domain.operations.job_state import JobOutcome
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.ports.operations_log import RoundTripSummary


def operations_source(operations: OperationsOutbox) -> MetricSource:
    events = operations.events
    return lambda: [
        counter("s1_ops_events_total", "Events written to ops:events.", events.written),
        counter(
            "s1_ops_events_overflowed_total",
            "Oldest events made dead letters because the outbox was full.",
            events.dropped,
        ),
        counter(
            "s1_ops_events_refused_total",
            "Events made dead letters because Redis refuses them.",
            events.refused,
        ),
    ]


def kill_switch_source(switch: WatchKillSwitch) -> MetricSource:
    return lambda: [
        gauge(
            "s1_kill_switch_on",
            "1 while transfers and entries are refused: the switch is on, or was never read.",
            int(switch.is_on()),
        ),
        counter(
            "s1_kill_switch_read_failures_total",
            "Reads of the kill switch that failed; its last value holds meanwhile.",
            switch.failures,
        ),
    ]


def store_source(store: WatchStore) -> MetricSource:
    return lambda: _store_samples(store)


def dead_letters_source(keep: KeepDeadLetters, handle: HandleDeadLetters) -> MetricSource:
    return lambda: _dead_letter_samples(keep, handle)


def clock_source(skews: Mapping[Venue, Callable[[], ClockSkew]]) -> MetricSource:
    """Skew of each venue's clock; values not measured yet are left out."""
    return lambda: [
        sample for venue, skew in skews.items() for sample in _clock_samples(venue, skew())
    ]


def round_trip_source(summary: Callable[[], RoundTripSummary]) -> MetricSource:
    """Percentiles of WebSocket round trips; left out before the first."""
    return lambda: _round_trip_samples(summary())


def health_source(components: Callable[[], Iterable[HealthComponent]]) -> MetricSource:
    return lambda: [
        gauge(
            "s1_component_level",
            "Health of a component: 0 GREEN, 1 YELLOW, 2 ORANGE, 3 RED.",
            component.level,
            component=component.name,
            required=str(component.required).lower(),
        )
        for component in components()
    ]


def jobs_source(jobs: RunJobs) -> MetricSource:
    """Runs of this process; the time of the last success is the same on all instances."""
    return lambda: [sample for runner in jobs.runners() for sample in _job_samples(runner)]


def build_source(version: str, shard: str) -> MetricSource:
    return lambda: [
        gauge(
            "s1_build_info",
            "Always 1; the labels name version and shard.",
            1,
            version=version,
            shard=shard,
        )
    ]


def _store_samples(store: WatchStore) -> Iterator[Sample]:
    report = store.report()
    works = int(report.checked and not report.error)
    yield gauge("s1_store_up", "1 if the last check of the store succeeded.", works)
    about = "Checks of the store that failed."
    yield counter("s1_store_check_failures_total", about, store.failures)
    if store.duration_ms is not None:
        about = "How long the last check of the store took that succeeded."
        yield gauge("s1_store_check_seconds", about, store.duration_ms / 1000)


def _dead_letter_samples(keep: KeepDeadLetters, handle: HandleDeadLetters) -> Iterator[Sample]:
    for place, number in keep.report().counts.items():
        if number is not None:
            yield gauge("s1_dead_letters", "Dead letters kept, by place.", number, place=place)
    for port, number in keep.counters.kept.items():
        about = "Dead letters written by this instance."
        yield counter("s1_dead_letters_kept_total", about, number, port=port)
    about = "Dead letters in memory: no place takes them now."
    yield gauge("s1_dead_letters_waiting", about, keep.pending)
    about = "Dead letters dropped at a bound, of a place or of the memory."
    yield counter("s1_dead_letters_lost_total", about, keep.counters.lost)
    about = "Dead letters delivered by a replay."
    yield counter("s1_dead_letters_replayed_total", about, handle.replayed)
    about = "Dead letters deleted by an operator."
    yield counter("s1_dead_letters_deleted_total", about, handle.deleted)


def _clock_samples(venue: Venue, skew: ClockSkew) -> Iterator[Sample]:
    for name, about, value_ms in (
        (
            "s1_clock_skew_seconds",
            "Exchange clock minus local clock.",
            skew.offset.offset_ms if skew.offset else None,
        ),
        (
            "s1_clock_error_bound_seconds",
            "Largest possible error of s1_clock_skew_seconds.",
            skew.offset.bound_ms if skew.offset else None,
        ),
        ("s1_clock_rtt_p50_seconds", "Median round trip of a time request.", skew.rtt_p50_ms),
        (
            "s1_clock_rtt_p95_seconds",
            "95th percentile round trip of a time request.",
            skew.rtt_p95_ms,
        ),
    ):
        if value_ms is not None:
            yield gauge(name, about, value_ms / 1000, venue=venue.value)
    about = "Share of time requests that were answered, 0 to 1."
    yield gauge("s1_clock_up_ratio", about, skew.p_up, venue=venue.value)


def _job_samples(runner: RunJob) -> Iterator[Sample]:
    name = runner.job.name
    about = "Runs that ended in this process, by result."
    for outcome in JobOutcome:
        if outcome is not JobOutcome.RUNNING:
            result = outcome.value.replace(" ", "_")
            runs = runner.ended[outcome]
            yield counter("s1_job_runs_total", about, runs, job=name, result=result)
    if runner.state.succeeded_at:
        about = "When a run last succeeded, epoch seconds."
        seconds = runner.state.succeeded_at / 1000
        yield gauge("s1_job_last_success_timestamp_seconds", about, seconds, job=name)
    if runner.duration_ms is not None:
        about = "How long the last run in this process took."
        yield gauge("s1_job_duration_seconds", about, runner.duration_ms / 1000, job=name)


def _round_trip_samples(summary: RoundTripSummary) -> Iterator[Sample]:
    if not summary.n:
        return
    yield gauge(
        "s1_ws_rtt_p50_seconds", "Median of the last WebSocket round trips.", summary.p50 / 1000
    )
    yield gauge(
        "s1_ws_rtt_p95_seconds", "95th percentile of the same round trips.", summary.p95 / 1000
    )
