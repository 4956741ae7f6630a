"""What the ports count, under the names it has on the Prometheus page."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from chimera_s1.adapters.telemetry.metrics_page import (
    LatencyHistogram,
    MetricSource,
    Sample,
    counter,
    gauge,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.clock_skew import ClockSkew
from chimera_s1.domain.operations.health import HealthComponent
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.operations_log import RoundTripSummary
from chimera_s1.domain.ports.quote_publisher import QuotePublisher

PUBLISH_LATENCY_BOUNDS_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000, 2000, 5000)


def publish_latency_histogram() -> LatencyHistogram:
    """How long quotes take from the end of their window to the store's acknowledgement."""
    return LatencyHistogram(
        "s1_publish_latency_seconds",
        "From the end of a window (window 0: the receipt of a quote) to the acknowledgement of "
        "its batch.",
        PUBLISH_LATENCY_BOUNDS_MS,
    )


def feed_source(feeds: Iterable[MarketFeed]) -> MetricSource:
    """Counters and connections of each venue's feed."""
    kept = tuple(feeds)
    return lambda: [sample for feed in kept for sample in _feed_samples(feed)]


def publisher_source(publisher: QuotePublisher) -> MetricSource:
    """What was written, and what the cluster answered on the way."""
    return lambda: _publisher_samples(publisher)


def clock_source(skews: Mapping[Venue, Callable[[], ClockSkew]]) -> MetricSource:
    """Our clock against each venue's; what was not measured yet is left out."""
    return lambda: [
        sample for venue, skew in skews.items() for sample in _clock_samples(venue, skew())
    ]


def round_trip_source(summary: Callable[[], RoundTripSummary]) -> MetricSource:
    """Percentiles of the WebSocket round trips; left out before the first."""
    return lambda: _round_trip_samples(summary())


def throughput_source(messages_per_s: Callable[[], float]) -> MetricSource:
    """`s1.mkt_throughput`, under the name Prometheus allows."""
    return lambda: [
        gauge(
            "s1_mkt_throughput",
            "Market data messages received in the last second (s1.mkt_throughput).",
            messages_per_s(),
        )
    ]


def health_source(components: Callable[[], Iterable[HealthComponent]]) -> MetricSource:
    """The level of each component, for alerts."""
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
    """Which build of the service this is."""
    return lambda: [
        gauge("s1_build_info", "Always 1; the labels say what.", 1, version=version, shard=shard)
    ]


def _feed_samples(feed: MarketFeed) -> Iterator[Sample]:
    venue, counted, report = feed.venue.value, feed.counters, feed.report()
    for name, about, value in (
        ("s1_feed_messages_total", "Market data messages received.", counted.messages),
        ("s1_feed_bytes_total", "Payload of the messages received, bytes.", counted.bytes),
        (
            "s1_feed_conflated_total",
            "Frames overwritten by a newer one of their stream before their window closed.",
            counted.conflated,
        ),
        ("s1_feed_quotes_total", "Quotes handed out to be published.", counted.drained),
        (
            "s1_feed_reconnects_total",
            "Connections lost after they had been open.",
            counted.reconnects,
        ),
    ):
        yield counter(name, about, value, venue=venue)
    for reason, value in counted.dropped.items():
        about = "Frames not handed out, by reason."
        yield counter("s1_feed_dropped_total", about, value, venue=venue, reason=reason)
    for name, about, value in (
        ("s1_feed_instruments", "Instruments subscribed.", report.instruments or 0),
        ("s1_feed_connections", "Connections wanted.", report.connections),
        ("s1_feed_connections_delivering", "Connections that deliver.", report.delivering),
        ("s1_feed_fatal", "1 while a connection is out of retries.", int(report.fatal)),
    ):
        yield gauge(name, about, value, venue=venue)


def _publisher_samples(publisher: QuotePublisher) -> Iterator[Sample]:
    counted = publisher.counters
    redirects = "Redirections by the cluster that were followed, by kind."
    yield counter("s1_publish_quotes_total", "Stream entries acknowledged.", counted.published)
    yield counter("s1_publish_batches_total", "Batches written.", counted.batches)
    yield counter("s1_publish_redirects_total", redirects, counted.moved_replies, kind="MOVED")
    yield counter("s1_publish_redirects_total", redirects, counted.ask_replies, kind="ASK")
    yield counter(
        "s1_publish_tried_again_total",
        "TRYAGAIN, CLUSTERDOWN and LOADING replies.",
        counted.busy_replies,
    )
    yield counter(
        "s1_publish_failures_total",
        "Batches, or nodes of a batch, that were not acknowledged.",
        counted.failures,
    )


def _clock_samples(venue: Venue, skew: ClockSkew) -> Iterator[Sample]:
    for name, about, value_ms in (
        ("s1_clock_skew_seconds", "The exchange's clock minus ours.", skew.offset_ms),
        ("s1_clock_rtt_p50_seconds", "Median round trip of a time request.", skew.rtt_p50_ms),
        ("s1_clock_rtt_p95_seconds", "95th percentile of the same.", skew.rtt_p95_ms),
    ):
        if value_ms is not None:
            yield gauge(name, about, value_ms / 1000, venue=venue.value)
    about = "Share of time requests that were answered, 0 to 1."
    yield gauge("s1_clock_up_ratio", about, skew.p_up, venue=venue.value)


def _round_trip_samples(summary: RoundTripSummary) -> Iterator[Sample]:
    if not summary.n:
        return
    yield gauge(
        "s1_ws_rtt_p50_seconds", "Median of the last WebSocket round trips.", summary.p50 / 1000
    )
    yield gauge("s1_ws_rtt_p95_seconds", "95th percentile of the same.", summary.p95 / 1000)
