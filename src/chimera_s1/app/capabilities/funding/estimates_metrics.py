"""Metrics of the funding estimates."""

from collections.abc import Iterator

from chimera_s1.app.capabilities.funding.latest_estimates import LatestEstimates
from chimera_s1.app.capabilities.funding.publish_estimates import PublishEstimates
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.ports.mark_prices import MarkPrices


def estimates_source(
    source: MarkPrices, latest: LatestEstimates, publish: PublishEstimates
) -> MetricSource:
    return lambda: [
        *_received(source, latest),
        *_published(publish),
        *_passed_over(source, latest, publish),
    ]


def _received(source: MarkPrices, latest: LatestEstimates) -> Iterator[Sample]:
    report = source.report()
    yield gauge(
        "s1_mark_prices_connected",
        "1 while the mark price stream delivers.",
        report.connected,
    )
    yield counter(
        "s1_mark_price_messages_total",
        "Messages of the mark price stream; Binance sends two each second.",
        report.counts.messages,
    )
    yield counter(
        "s1_mark_price_reconnects_total",
        "Connections of the mark price stream that were lost after they had delivered.",
        report.counts.reconnects,
    )
    yield gauge(
        "s1_funding_contracts",
        "Contracts of which an estimate was received, served or not.",
        latest.contracts,
    )
    yield counter(
        "s1_funding_settlements_seen_total",
        "Settlements that the mark price stream has shown to have happened.",
        latest.settled,
    )


def _published(publish: PublishEstimates) -> Iterator[Sample]:
    counts = publish.counts
    yield counter(
        "s1_funding_estimates_published_total",
        "Estimates written to mkt:events:funding:* by this instance.",
        counts.published,
    )
    yield counter(
        "s1_funding_estimates_merged_total",
        "Estimates replaced by a newer one while they waited for Redis or the kill switch.",
        counts.merged,
    )
    yield counter(
        "s1_funding_estimate_write_failures_total",
        "Writes of estimates that failed, at least in part.",
        counts.failures,
    )
    yield gauge(
        "s1_funding_estimates_waiting",
        "Contracts whose newest estimate is not written yet.",
        publish.waiting,
    )


def _passed_over(
    source: MarkPrices, latest: LatestEstimates, publish: PublishEstimates
) -> Iterator[Sample]:
    rows = source.report().counts
    reasons = {
        "without_funding": rows.without_funding,
        "coin_margined": rows.coin_margined,
        "unreadable": rows.unreadable,
        "stale": latest.stale,
        "excess": latest.excess,
        "unserved": publish.counts.unserved,
        "unknown": publish.counts.unknown,
    }
    for reason, count in reasons.items():
        yield counter(
            "s1_funding_rows_passed_over_total",
            "Rows of the mark price stream that were not published, by reason.",
            count,
            reason=reason,
        )
