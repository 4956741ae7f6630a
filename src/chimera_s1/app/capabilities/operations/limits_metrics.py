"""Metrics of the exchange's limits: holds, dials, requests."""

from collections.abc import Callable, Iterator, Mapping

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.instance_count import InstanceShares
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.operations.reports import VenueLimitsReport
from chimera_s1.domain.operations.request_budget import RequestBudget
from chimera_s1.domain.operations.venue_hold import HoldScope, VenueHold
from chimera_s1.domain.ports.clock import Clock


def limits_source(reports: Mapping[Venue, Callable[[], VenueLimitsReport]]) -> MetricSource:
    """Holds and dials of each venue."""
    return lambda: [
        sample for venue, report in reports.items() for sample in _limit_samples(venue, report())
    ]


def requests_source(
    budgets: Mapping[Venue, RequestBudget], holds: Mapping[Venue, VenueHold], clock: Clock
) -> MetricSource:
    """Requests of each exchange host: what is used of its limits, what became of each caller's."""

    def samples() -> Iterator[Sample]:
        for venue, budget in budgets.items():
            yield from _bucket_samples(venue, budget, clock.monotonic_ms())
            yield from _outcome_samples(venue, budget)
            yield from _complaint_samples(venue, holds[venue])

    return lambda: list(samples())


def shares_source(shares: Callable[[], InstanceShares]) -> MetricSource:
    """By how many instances the limits are divided."""
    return lambda: [
        gauge(
            "s1_limits_divided_by",
            "How many shares the exchange's limits of requests or dials are divided into.",
            number,
            of=name,
        )
        for name, number in (("requests", shares().requests), ("dials", shares().dials))
    ]


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


def _bucket_samples(venue: Venue, budget: RequestBudget, now_ms: float) -> Iterator[Sample]:
    for report in budget.reports(now_ms):
        labels = {"venue": venue.value, "bucket": report.limit.name}
        yield gauge(
            "s1_rest_limit",
            "What the exchange allows in a window; the label says where that is known from.",
            report.limit.limit,
            **labels,
            source=report.limit.source.value,
        )
        yield gauge(
            "s1_rest_allowed",
            "Where the requests of this instance stop; less urgent ones stop earlier.",
            report.allowed,
            **labels,
        )
        yield gauge(
            "s1_rest_used",
            "Used of it: reported by the exchange, and what no report shows yet.",
            report.used,
            **labels,
        )
    about = "Requests that wait for room."
    yield gauge("s1_rest_waiting", about, budget.waiting, venue=venue.value)


def _outcome_samples(venue: Venue, budget: RequestBudget) -> Iterator[Sample]:
    for (caller, outcome), number in sorted(budget.outcomes.items()):
        yield counter(
            "s1_rest_requests_total",
            "Requests by what became of them; no_room, queue_full and held were not sent.",
            number,
            venue=venue.value,
            caller=caller,
            outcome=outcome.value,
        )


def _complaint_samples(venue: Venue, hold: VenueHold) -> Iterator[Sample]:
    for (reason, caller), number in sorted(hold.complaints.items()):
        yield counter(
            "s1_rest_complaints_total",
            "How often the exchange complained of too many requests or sockets, and to which "
            "caller.",
            number,
            venue=venue.value,
            reason=reason.value,
            caller=caller,
        )
