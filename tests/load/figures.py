"""Figures from readings of a process: differences between readings, and their medians."""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from statistics import median

import anyio
from msgspec import Struct

from tests.load.processes import Child, Reading, Service
from tests.load.receiver import ReceiverStats

DROPPED = ("s1_feed_dropped_total", "s1_quotes_expired_total", "s1_publish_failures_total")


class NothingMeasuredError(Exception):
    """The benchmark did not measure what it should."""


class Interval(Struct, frozen=True):
    """Work of one process between two readings; *published* counts acknowledged entries."""

    seconds: float
    messages: float
    published: float
    cpu_s: float


class Figures(Struct, frozen=True):
    """Medians over intervals; *share* is CPU time over elapsed time, 0.05 is 5 % of a core."""

    messages_s: float
    published_s: float
    us_per_message: float
    share: float


def median_figures(intervals: Sequence[Interval]) -> Figures:
    """The median of each figure; fails if no message arrived in one of the intervals."""
    if not all(interval.messages for interval in intervals):
        raise NothingMeasuredError("no message arrived")
    return Figures(
        median(each.messages / each.seconds for each in intervals),
        median(each.published / each.seconds for each in intervals),
        median(each.cpu_s / each.messages * 1e6 for each in intervals),
        median(each.cpu_s / each.seconds for each in intervals),
    )


async def watch(service: Service, intervals: int, seconds: float) -> list[Reading]:
    """Readings of *service*, *seconds* apart; one more than *intervals*."""
    readings = [await service.read()]
    for _ in range(intervals):
        await anyio.sleep(seconds)
        readings.append(await service.read())
    return readings


def service_figures(readings: Sequence[Reading]) -> Figures:
    """Figures of a service; fails if it received or published nothing, or dropped something."""
    for name in DROPPED:
        if lost := gained(readings[0], readings[-1], name):
            raise NothingMeasuredError(f"{name} grew by {lost:g} meanwhile")
    figures = median_figures(
        [
            Interval(
                now.at_s - before.at_s,
                gained(before, now, "s1_feed_messages_total"),
                gained(before, now, "s1_publish_quotes_total"),
                now.cpu_s - before.cpu_s,
            )
            for before, now in pairwise(readings)
        ]
    )
    if not figures.published_s:
        raise NothingMeasuredError("nothing was published")
    return figures


async def receiver_figures(receiver: Child, intervals: int) -> Figures:
    """Figures of a baseline receiver over its own periods, without the first."""
    await receiver.line()
    stats = [ReceiverStats(**await receiver.line()) for _ in range(intervals + 1)]
    return median_figures(
        [
            Interval(
                now.at_s - before.at_s,
                now.messages - before.messages,
                0,
                now.cpu_s - before.cpu_s,
            )
            for before, now in pairwise(stats)
        ]
    )


def gained(before: Reading, now: Reading, name: str) -> float:
    """The increase of a counter between two readings."""
    return now.total(name) - before.total(name)


def latency_ms(before: Reading, now: Reading, quantile: float) -> float:
    """A quantile of `s1_publish_latency_seconds` between two readings, an upper bound."""
    name = "s1_publish_latency_seconds_bucket"
    counts: dict[float, float] = {}
    for key, value in now.samples.items():
        if key.startswith(name):
            bound = key.partition('le="')[2].partition('"')[0]
            counts[inf if bound == "+Inf" else float(bound)] = value - before.samples.get(key, 0)
    observed = counts.get(inf, 0)
    if not observed:
        raise NothingMeasuredError("no publish latency was observed")
    return min(bound for bound, count in counts.items() if count >= quantile * observed) * 1000


def quantile_of(values: Sequence[float], quantile: float) -> float:
    """The value below which *quantile* of *values* lie, without interpolation."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
