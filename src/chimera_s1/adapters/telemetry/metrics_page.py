"""The Prometheus page.

The market path calls no metrics library: counters are plain integers, converted at each scrape.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from chimera_s1.domain.operations.metrics import PREFIX, MetricSource, Sample, SampleKind


class LatencyHistogram:
    """Observed in ms, exported in seconds (Prometheus uses base units)."""

    def __init__(self, name: str, help_text: str, bounds_ms: Sequence[float]) -> None:
        """*bounds_ms* are inclusive upper bounds, ascending; an unbounded bucket is added."""
        assert name.startswith(PREFIX), name
        assert name.endswith("_seconds"), name
        self._name = name
        self._help_text = help_text
        self._bounds_ms = tuple(bounds_ms)
        self._counts = [0] * (len(self._bounds_ms) + 1)
        self._sum_ms = 0.0

    def observe(self, duration_ms: float) -> None:
        self._counts[bisect_left(self._bounds_ms, duration_ms)] += 1
        self._sum_ms += duration_ms

    def family(self) -> Metric:
        bounds = (*(bound / 1000 for bound in self._bounds_ms), inf)
        buckets = [
            ("+Inf" if bound == inf else str(bound), float(count))
            for bound, count in zip(bounds, accumulate(self._counts), strict=True)
        ]
        return HistogramMetricFamily(
            self._name, self._help_text, buckets=buckets, sum_value=self._sum_ms / 1000
        )


class MetricsPage(Collector):
    """Renders samples, histograms, and the process's own metrics (memory, CPU, open files)."""

    def __init__(
        self, sources: Iterable[MetricSource], histograms: Iterable[LatencyHistogram] = ()
    ) -> None:
        self._sources = tuple(sources)
        self._histograms = tuple(histograms)
        # Not the library's global registry: any import may add metrics there.
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """Prometheus text format 0.0.4, UTF-8."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Called by the library at each scrape."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for source in self._sources:
            for sample in source():
                family = families.get(sample.name)
                if family is None:
                    family = families[sample.name] = _make_family(sample)
                family.add_metric([value for _, value in sample.labels], sample.value)
        yield from families.values()
        yield from (histogram.family() for histogram in self._histograms)


def _make_family(sample: Sample) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if sample.kind is SampleKind.COUNTER else GaugeMetricFamily
    return make(sample.name, sample.help_text, labels=[name for name, _ in sample.labels])
