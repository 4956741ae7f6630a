"""The Prometheus page, parsed with Prometheus's own parser."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from chimera_s1.adapters.telemetry.metrics_page import LatencyHistogram, MetricsPage
from chimera_s1.app.capabilities.market.metrics import (
    PUBLISH_LATENCY,
    PUBLISH_LATENCY_BOUNDS_MS,
    PUBLISH_LATENCY_HELP,
    feed_source,
    publisher_source,
    throughput_source,
)
from chimera_s1.app.capabilities.operations.metrics import (
    build_source,
    clock_source,
    health_source,
    round_trip_source,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.market.conflation import EVERY_UPDATE
from chimera_s1.domain.operations.clock_skew import ClockOffset, ClockSkew
from chimera_s1.domain.operations.health import HealthComponent, Level
from chimera_s1.domain.operations.metrics import MetricSource, counter, gauge
from chimera_s1.domain.ports.operations_log import RoundTripSummary
from tests.fakes.market_feed import ScriptedMarketFeed
from tests.fakes.quote_streams import MemoryQuotePublisher, MemoryQuoteStreams
from tests.sample_quotes import quote

Key = tuple[str, frozenset[tuple[str, str]]]


def numbers(page: MetricsPage) -> dict[Key, float]:
    """All values on the page, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.render().decode())
        for sample in family.samples
    }


def shown(sources: Iterable[MetricSource], name: str, **labels: str) -> float | None:
    return numbers(MetricsPage(sources)).get((name, frozenset(labels.items())))


def test_a_counter_is_read_when_the_page_is_rendered() -> None:
    counted = [1]
    page = MetricsPage([lambda: [counter("s1_things_total", "Things.", counted[0])]])

    first = numbers(page)["s1_things_total", frozenset()]
    counted[0] = 5
    second = numbers(page)["s1_things_total", frozenset()]

    assert (first, second) == (1.0, 5.0)


def test_samples_with_one_name_form_one_family() -> None:
    page = MetricsPage(
        [
            lambda: [gauge("s1_level", "Level.", 1, component="a")],
            lambda: [gauge("s1_level", "Level.", 2, component='b"\n\\')],
        ]
    )

    assert page.render().count(b"# TYPE s1_level gauge") == 1
    assert numbers(page)["s1_level", frozenset({("component", 'b"\n\\')})] == 2.0


@pytest.mark.parametrize(
    ("make", "name"), [(counter, "s1_things"), (gauge, "s1_things_total"), (gauge, "things")]
)
def test_an_invalid_metric_name_is_refused(make: type, name: str) -> None:
    with pytest.raises(AssertionError):
        make(name, "Things.", 1)


def test_the_page_has_process_metrics_but_no_library_defaults() -> None:
    names = {name for name, _ in numbers(MetricsPage([]))}

    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= names
    assert not any(name.startswith("python_") for name in names)


@given(st.lists(st.floats(0, 10_000)))
def test_a_histogram_counts_every_duration_in_its_buckets(durations_ms: list[float]) -> None:
    """Buckets are cumulative; the last one counts all."""
    bounds_ms = (1, 50, 5000)
    histogram = LatencyHistogram("s1_step_seconds", "A step.", bounds_ms)
    for duration_ms in durations_ms:
        histogram.observe(duration_ms)

    shown = numbers(MetricsPage([], [histogram]))

    for bound_ms in bounds_ms:
        key = ("s1_step_seconds_bucket", frozenset({("le", str(bound_ms / 1000))}))
        assert shown[key] == sum(duration <= bound_ms for duration in durations_ms)
    assert shown["s1_step_seconds_bucket", frozenset({("le", "+Inf")})] == len(durations_ms)
    assert shown["s1_step_seconds_count", frozenset()] == len(durations_ms)
    assert shown["s1_step_seconds_sum", frozenset()] == pytest.approx(sum(durations_ms) / 1000)


def test_a_feed_is_counted_by_venue_and_reason() -> None:
    feed = ScriptedMarketFeed(Venue.PERP)
    feed.receive(quote("perp/BTCUSDT", bid=1.0))
    feed.receive(quote("perp/BTCUSDT", bid=2.0))
    feed.drain()
    feed.counters.reconnects += 3
    feed.counters.drop("crossed")
    source = [feed_source([feed, ScriptedMarketFeed(Venue.SPOT)])]

    assert shown(source, "s1_feed_messages_total", venue="perp") == 2
    assert shown(source, "s1_feed_messages_total", venue="spot") == 0
    assert shown(source, "s1_feed_conflated_total", venue="perp") == 1
    assert shown(source, "s1_feed_quotes_total", venue="perp") == 1
    assert shown(source, "s1_feed_reconnects_total", venue="perp") == 3
    assert shown(source, "s1_feed_dropped_total", venue="perp", reason="crossed") == 1
    assert shown(source, "s1_feed_connections", venue="perp") == 1
    assert shown(source, "s1_feed_connections_delivering", venue="perp") == 0
    assert shown(source, "s1_feed_fatal", venue="perp") == 0


async def test_a_publisher_is_counted_with_its_redirects() -> None:
    publisher = MemoryQuotePublisher(MemoryQuoteStreams(maxlen=10), EVERY_UPDATE)
    await publisher.publish([quote(), quote("spot/ETHUSDT")])
    publisher.counters.moved_replies += 4
    publisher.counters.ask_replies += 5
    source = [publisher_source(publisher)]

    assert shown(source, "s1_publish_quotes_total") == 2
    assert shown(source, "s1_publish_batches_total") == 1
    assert shown(source, "s1_publish_redirects_total", kind="MOVED") == 4
    assert shown(source, "s1_publish_redirects_total", kind="ASK") == 5
    assert shown(source, "s1_publish_failures_total") == 0


def test_known_clock_values_are_shown_in_seconds() -> None:
    skews = {
        Venue.SPOT: lambda: ClockSkew(ClockOffset(-312.0, 45.0), 0.75, 20, 90),
        Venue.PERP: lambda: ClockSkew(None, 1.0, None, None),
    }
    source = [clock_source(skews)]

    assert shown(source, "s1_clock_skew_seconds", venue="spot") == -0.312
    assert shown(source, "s1_clock_error_bound_seconds", venue="spot") == 0.045
    assert shown(source, "s1_clock_rtt_p50_seconds", venue="spot") == 0.02
    assert shown(source, "s1_clock_rtt_p95_seconds", venue="spot") == 0.09
    assert shown(source, "s1_clock_up_ratio", venue="spot") == 0.75
    assert shown(source, "s1_clock_skew_seconds", venue="perp") is None


def test_round_trips_are_shown_after_the_first_measurement() -> None:
    assert (
        shown([round_trip_source(lambda: RoundTripSummary(0, 0, 0))], "s1_ws_rtt_p50_seconds")
        is None
    )
    source = [round_trip_source(lambda: RoundTripSummary(12.0, 40.0, 9))]
    assert shown(source, "s1_ws_rtt_p50_seconds") == 0.012
    assert shown(source, "s1_ws_rtt_p95_seconds") == 0.04


def test_throughput_health_and_build_are_shown() -> None:
    component = HealthComponent("redis", Level.ORANGE, 0, "", required=True, ready=True)

    assert shown([throughput_source(lambda: 812.5)], "s1_mkt_throughput") == 812.5
    assert (
        shown(
            [health_source(lambda: [component])],
            "s1_component_level",
            component="redis",
            required="true",
        )
        == 2
    )
    assert shown([build_source("1.2.3", "0/4")], "s1_build_info", version="1.2.3", shard="0/4") == 1


def test_publish_latency_buckets_range_from_a_millisecond_to_the_freshness_limit() -> None:
    latency = LatencyHistogram(PUBLISH_LATENCY, PUBLISH_LATENCY_HELP, PUBLISH_LATENCY_BOUNDS_MS)
    latency.observe(7)

    shown = numbers(MetricsPage([], [latency]))

    assert shown["s1_publish_latency_seconds_bucket", frozenset({("le", "0.005")})] == 0
    assert shown["s1_publish_latency_seconds_bucket", frozenset({("le", "0.01")})] == 1
    assert shown["s1_publish_latency_seconds_bucket", frozenset({("le", "5.0")})] == 1
