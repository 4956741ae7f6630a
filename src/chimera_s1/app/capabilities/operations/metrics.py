"""Metrics of operational events, clocks and health."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from chimera_s1.app.capabilities.operations.operations_outbox import OperationsOutbox
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import ClockSkew
from chimera_s1.domain.operations.health import HealthComponent
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.operations.reports import VenueLimitsReport
from chimera_s1.domain.operations.venue_hold import HoldScope
from chimera_s1.domain.ports.operations_log import RoundTripSummary


def operations_source(operations: OperationsOutbox) -> MetricSource:
    events = operations.events
    return lambda: [
        counter("s1_ops_events_total", "Events written to ops:events.", events.written),
        counter(
            "s1_ops_events_overflowed_total",
            "Oldest events dropped because the outbox was full.",
            events.dropped,
        ),
    ]


def clock_source(skews: Mapping[Venue, Callable[[], ClockSkew]]) -> MetricSource:
    """Skew of each venue's clock; values not measured yet are left out."""
    return lambda: [
        sample for venue, skew in skews.items() for sample in _clock_samples(venue, skew())
    ]


def limits_source(reports: Mapping[Venue, Callable[[], VenueLimitsReport]]) -> MetricSource:
    """Holds and dials of each venue."""
    return lambda: [
        sample for venue, report in reports.items() for sample in _limit_samples(venue, report())
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


def _limit_samples(venue: Venue, report: VenueLimitsReport) -> Iterator[Sample]:
    name = venue.value
    for scope in HoldScope:
        held = report.hold is not None and report.hold.scope is scope
        yield gauge(
            "s1_venue_hold_seconds",
            "How long the venue gets no dials, no requests, or neither; 0 without a hold.",
            report.held_ms / 1000 if held else 0,
            venue=name,
            scope=scope.value,
        )
    yield counter("s1_venue_holds_total", "Holds that began.", report.holds, venue=name)
    yield counter("s1_dials_total", "Sockets dialled.", report.dials_total, venue=name)
    yield gauge(
        "s1_dials_left", "Dials left of the 5 minute budget.", report.dials_left, venue=name
    )


def _round_trip_samples(summary: RoundTripSummary) -> Iterator[Sample]:
    if not summary.n:
        return
    yield gauge(
        "s1_ws_rtt_p50_seconds", "Median of the last WebSocket round trips.", summary.p50 / 1000
    )
    yield gauge(
        "s1_ws_rtt_p95_seconds", "95th percentile of the same round trips.", summary.p95 / 1000
    )
