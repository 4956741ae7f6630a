"""Metrics of market data."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from chimera_s1.app.capabilities.market.admit_quotes import AdmitQuotes
from chimera_s1.app.capabilities.market.publish_quotes import PublishQuotes
from chimera_s1.app.capabilities.market.quote_board import QuoteBoard
from chimera_s1.app.capabilities.market.watch_liveness import WatchLiveness
from chimera_s1.domain.market.liveness import Liveness
from chimera_s1.domain.operations.metrics import MetricSource, Sample, counter, gauge
from chimera_s1.domain.ports.market_feed import MarketFeed
from chimera_s1.domain.ports.quote_publisher import QuotePublisher

PUBLISH_LATENCY = "s1_publish_latency_seconds"
PUBLISH_LATENCY_HELP = (
    "From the end of a window (window 0: the receipt of its oldest quote) to the acknowledgement "
    "of its batch."
)
QUOTE_LAG = "s1_quote_lag_seconds"
QUOTE_LAG_HELP = (
    "Receive time of a quote minus its exchange event time. Spot book tickers have no event time "
    "and are not counted."
)
QUOTE_LAG_BOUNDS_MS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000)
PUBLISH_LATENCY_BOUNDS_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 1000, 2000, 5000)


INSTRUMENT_STATES = (
    Liveness.LIVE,
    Liveness.QUIET,
    Liveness.LATE,
    Liveness.DEGRADED,
    Liveness.STALE,
    Liveness.BLIND,
)


def feed_source(feeds: Iterable[MarketFeed]) -> MetricSource:
    kept = tuple(feeds)
    return lambda: [sample for feed in kept for sample in _feed_samples(feed)]


def publisher_source(publisher: QuotePublisher) -> MetricSource:
    return lambda: _publisher_samples(publisher)


def throughput_source(messages_per_s: Callable[[], float]) -> MetricSource:
    return lambda: [
        gauge(
            "s1_mkt_throughput",
            "Market data messages received in the last second (s1.mkt_throughput).",
            messages_per_s(),
        )
    ]


def publishing_source(publishing: PublishQuotes) -> MetricSource:
    counters = publishing.counters
    return lambda: [
        counter("s1_windows_total", "Conflation windows closed.", counters.windows),
        counter(
            "s1_windows_merged_total",
            "Windows that closed while an earlier one was being written.",
            counters.windows_merged,
        ),
        counter(
            "s1_quotes_superseded_total",
            "Pending quotes replaced by a newer one of their stream.",
            counters.superseded,
        ),
        counter(
            "s1_quotes_expired_total",
            "Pending quotes dropped because they were too old.",
            counters.expired,
        ),
        counter(
            "s1_quotes_withheld_total",
            "Quotes replaced by a newer one of their stream while the kill switch was on.",
            counters.withheld,
        ),
        gauge(
            "s1_quotes_waiting",
            "Quotes that wait for an unavailable Redis node.",
            publishing.report().pending,
        ),
    ]


def admission_source(admission: AdmitQuotes) -> MetricSource:
    return lambda: [
        gauge(
            "s1_publisher_active",
            "1 while this instance publishes; 0 while it stands by.",
            int(admission.publishing),
        ),
        gauge(
            "s1_quotes_kept",
            "Quotes that a standby keeps for a take-over.",
            admission.kept,
        ),
        counter(
            "s1_quotes_kept_dropped_total",
            "Kept quotes that were dropped: too old, or too many.",
            admission.dropped,
        ),
        counter(
            "s1_stream_ids_ahead_total",
            "Quotes whose entry id is ahead of the clock.",
            admission.ids.ahead,
        ),
        counter(
            "s1_quotes_repeated_total",
            "Quotes that were not published because their stream holds their window.",
            admission.ids.repeated,
        ),
    ]


def liveness_source(watching: Sequence[WatchLiveness]) -> MetricSource:
    return lambda: [sample for watch in watching for sample in _liveness(watch)]


def board_source(board: QuoteBoard) -> MetricSource:
    return lambda: [
        gauge("s1_sse_subscribers", "Readers of /xchg/quotes/stream.", board.subscribers),
        counter(
            "s1_sse_replaced_total",
            "Quotes replaced by a newer one before a reader took them.",
            board.replaced,
        ),
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
        ("s1_feed_quotes_total", "Quotes passed on for publishing.", counted.drained),
        (
            "s1_feed_reconnects_total",
            "Connections lost after they were open.",
            counted.reconnects,
        ),
        (
            "s1_feed_future_event_times_total",
            "Quotes whose event time is later than their receipt; ts is the receive time.",
            counted.future_event_times,
        ),
    ):
        yield counter(name, about, value, venue=venue)
    for reason, value in counted.dropped.items():
        about = "Frames that were not published, by reason."
        yield counter("s1_feed_dropped_total", about, value, venue=venue, reason=reason)
    for name, about, value in (
        ("s1_feed_instruments", "Instruments subscribed.", report.instruments or 0),
        ("s1_feed_connections", "Connections required.", report.connections),
        ("s1_feed_connections_delivering", "Connections that deliver data.", report.delivering),
        (
            "s1_feed_fatal",
            "1 while a connection has used up its retries, else 0.",
            int(report.fatal),
        ),
    ):
        yield gauge(name, about, value, venue=venue)


def _publisher_samples(publisher: QuotePublisher) -> Iterator[Sample]:
    counted = publisher.counters
    redirects = "Redirects by the cluster that were followed, by kind."
    yield counter("s1_publish_quotes_total", "Stream entries acknowledged.", counted.published)
    yield counter(
        "s1_publish_already_there_total",
        "Entries that an attempt without a reply had written.",
        counted.already_there,
    )
    yield counter(
        "s1_publish_ids_refused_total",
        "Quotes whose stream holds an id that is not below theirs.",
        counted.refused,
    )
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


def _liveness(watch: WatchLiveness) -> Iterator[Sample]:
    venue, counters = watch.venue.value, watch.counters
    states = Counter(watch.states().values())
    for state in INSTRUMENT_STATES:
        yield gauge(
            "s1_instruments",
            "Instruments by liveness (mkt:status).",
            states[state],
            venue=venue,
            state=state.value,
        )
    yield counter(
        "s1_connections_blind_total",
        "Silent connections that were reconnected.",
        counters.blind_reconnects,
        venue=venue,
    )
    yield counter(
        "s1_streams_stale_total",
        "Streams found stale by a REST probe.",
        counters.stale_probes,
        venue=venue,
    )
    for verdict, number in counters.probes.items():
        about = "REST probes of silent streams, by what they have proven."
        yield counter("s1_probes_total", about, number, venue=venue, verdict=verdict.value)
    yield counter(
        "s1_status_changes_total",
        "Entries written to mkt:status.",
        watch.outbox.written,
        venue=venue,
    )
    yield counter(
        "s1_status_overflowed_total",
        "Oldest mkt:status entries dropped because the outbox was full.",
        watch.outbox.dropped,
        venue=venue,
    )
