"""Figures from readings: what a process did and used between two moments, and medians
over several.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from statistics import median

import anyio
from msgspec import Struct

from tests.load.receiver import ReceiverStats
from tests.load.running import Child, Reading, Service

DROPPED = ("s1_feed_dropped_total", "s1_quotes_expired_total", "s1_publish_failures_total")


class NothingMeasuredError(Exception):
    """The benchmark ran, but not what it was to measure."""


class Stretch(Struct, frozen=True):
    """What one process did between two readings.

    Attributes:
        seconds: Its length.

        messages: Messages received.

        published: Stream entries acknowledged.

        cpu_s: CPU time used.
    """

    seconds: float
    messages: float
    published: float
    cpu_s: float


class Figures(Struct, frozen=True):
    """Medians over stretches.

    Attributes:
        messages_s: Messages received a second.

        published_s: Stream entries acknowledged a second.

        us_per_message: CPU time over messages, microseconds.

        share: CPU time over time: 0.05 is 5 % of a core.
    """

    messages_s: float
    published_s: float
    us_per_message: float
    share: float


def median_figures(stretches: Sequence[Stretch]) -> Figures:
    """The median of each figure.

    Raises:
        NothingMeasuredError: In one of the stretches no message arrived.
    """
    if not all(stretch.messages for stretch in stretches):
        raise NothingMeasuredError("no message arrived")
    return Figures(
        median(each.messages / each.seconds for each in stretches),
        median(each.published / each.seconds for each in stretches),
        median(each.cpu_s / each.messages * 1e6 for each in stretches),
        median(each.cpu_s / each.seconds for each in stretches),
    )


async def watch(service: Service, stretches: int, seconds: float) -> list[Reading]:
    """Readings of *service*, *seconds* apart; one more than *stretches*."""
    readings = [await service.read()]
    for _ in range(stretches):
        await anyio.sleep(seconds)
        readings.append(await service.read())
    return readings


def service_figures(readings: Sequence[Reading]) -> Figures:
    """What a service did between *readings*.

    Raises:
        NothingMeasuredError: It received or published nothing, or dropped something.
    """
    for name in DROPPED:
        if lost := gained(readings[0], readings[-1], name):
            raise NothingMeasuredError(f"{name} grew by {lost:g} meanwhile")
    figures = median_figures(
        [
            Stretch(
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


async def receiver_figures(receiver: Child, stretches: int) -> Figures:
    """What a baseline receiver did, a stretch being its own period; the first one is left out."""
    await receiver.line()
    told = [ReceiverStats(**await receiver.line()) for _ in range(stretches + 1)]
    return median_figures(
        [
            Stretch(
                now.at_s - before.at_s,
                now.messages - before.messages,
                0,
                now.cpu_s - before.cpu_s,
            )
            for before, now in pairwise(told)
        ]
    )


def gained(before: Reading, now: Reading, name: str) -> float:
    """How much a counter grew between two readings."""
    return now.total(name) - before.total(name)


def latency_ms(before: Reading, now: Reading, quantile: float) -> float:
    """A quantile of `s1_publish_latency_seconds` between two readings: the upper bound of its
    bucket.

    Raises:
        NothingMeasuredError: Nothing was observed.
    """
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
    """The value below which *quantile* of *values* lie, none interpolated."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]
