"""Samples for the Prometheus page."""

from collections.abc import Callable, Iterable
from enum import StrEnum

from msgspec import Struct

PREFIX = "s1_"
_COUNTER_SUFFIX = "_total"


class SampleKind(StrEnum):
    """A counter only grows while the process runs; a gauge is a current value."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Sample(Struct, frozen=True):
    """One number on the page.

    Attributes:
        name: Begins with `s1_`; a counter's name ends with `_total`.
        help_text: Meaning and unit.
        labels: Pairs of name and value; all samples of one *name* have the same label names.
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
