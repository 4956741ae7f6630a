"""Bodies of the control plane's requests."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from chimera_s1.domain.errors import InvalidValueError

CLOCK_RATE_MAX = 100_000.0
UPDATE_RATE_MAX = 1_000_000.0


class ClockRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/clock`; a missing field changes nothing.

    Attributes:
        rate: Exchange milliseconds per local millisecond.
        drift_ms_per_s: Another form of *rate*: 1 is a rate of 1.001.
        offset_ms: Exchange time minus local time, from now on.
    """

    rate: Annotated[float, Meta(gt=0, le=CLOCK_RATE_MAX)] | None = None
    drift_ms_per_s: Annotated[float, Meta(gt=-1000, le=CLOCK_RATE_MAX)] | None = None
    offset_ms: Annotated[int, Meta(ge=-(10**12), le=10**12)] | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and self.drift_ms_per_s is not None:
            raise ValueError("rate and drift_ms_per_s mean the same; write one of them")

    @property
    def effective_rate(self) -> float | None:
        """The rate, from either form."""
        return self.rate if self.drift_ms_per_s is None else 1 + self.drift_ms_per_s / 1000


class FaultRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/faults`."""

    on: str
    do: str
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    for_ms: Annotated[int, Meta(ge=0, le=86_400_000)] = 0


class RateRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /sim/rate`: book updates per second over all subscribed symbols."""

    rate: Annotated[float, Meta(gt=0, le=UPDATE_RATE_MAX)]


CLOCK_HELP = (
    f"rate: number above 0, up to {CLOCK_RATE_MAX:g}, or drift_ms_per_s: number above -1000; "
    "offset_ms: whole number"
)
FAULT_HELP = (
    "on: request or stream; do: what happens; times: whole number from 1; "
    "for_ms: whole number from 0"
)
RATE_HELP = f"rate: number above 0, up to {UPDATE_RATE_MAX:g}"

Body = TypeVar("Body", bound=Struct)


def decode(body: bytes, kind: type[Body], allowed: str) -> Body:
    """Raises InvalidValueError, with *allowed* in its text, unless *body* is a *kind*."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidValueError(f"{error} ({allowed})") from error
