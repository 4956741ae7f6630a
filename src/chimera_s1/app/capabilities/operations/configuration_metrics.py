"""Metrics of the configuration that S10 publishes."""

from collections.abc import Iterator

from chimera_s1.app.capabilities.operations.follow_configuration import FollowConfiguration
from chimera_s1.domain.operations.active_configuration import RefusalReason
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge


def configuration_source(follow: FollowConfiguration) -> MetricSource:
    return lambda: _samples(follow)


def _samples(follow: FollowConfiguration) -> Iterator[Sample]:
    report = follow.report()
    if report.in_force is not None:
        named = len(report.in_force.instruments)
        yield gauge("s1_config_rev", "Revision of S10 in force.", report.in_force.rev)
        yield gauge("s1_config_instruments", "Instruments that it names.", named)
    if report.confirmed_ago_ms is not None:
        about = "Since S10 last served the revision in force."
        yield gauge("s1_config_confirmed_age_seconds", about, report.confirmed_ago_ms / 1000)
    yield counter("s1_config_applied_total", "Revisions put in force.", follow.applied)
    for reason in RefusalReason:
        about = "Snapshots of S10 that were refused."
        refused = follow.refused[reason]
        yield counter("s1_config_refused_total", about, refused, reason=reason.value)
    about = "Requests that S10 did not answer with a snapshot."
    yield counter("s1_config_failed_requests_total", about, follow.failed_requests)
    about = "Fields of applied revisions that this version does not know."
    yield counter("s1_config_unknown_fields_total", about, follow.unknown_fields)
