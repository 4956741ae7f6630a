"""Numbers for the Prometheus page, as plain values: their owners count integers, and only a scrape
turns them into text.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

PREFIX = "s1_"
_COUNTER_SUFFIX = "_total"


class SampleKind(StrEnum):
    """A counter only grows while the process lives; a gauge is what is so now."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Sample(Struct, frozen=True):
    """One number on the page.

    Attributes:
        name: As it stands on the page; begins with `s1_`, and ends with `_total` for a counter.
        help_text: For people: what is counted, in which unit.
        labels: Pairs of name and value; the same names in all samples of one *name*.
    """

    name: str
    help_text: str
    kind: SampleKind
    value: float
    labels: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        assert self.name.startswith(PREFIX), self.name
        assert self.name.endswith(_COUNTER_SUFFIX) == (self.kind is SampleKind.COUNTER), self.name


MetricSource = Callable[[], Iterable[Sample]]


def counter(name: str, help_text: str, value: float, **labels: str) -> Sample:
    return Sample(name, help_text, SampleKind.COUNTER, value, tuple(labels.items()))


def gauge(name: str, help_text: str, value: float, **labels: str) -> Sample:
    return Sample(name, help_text, SampleKind.GAUGE, value, tuple(labels.items()))
