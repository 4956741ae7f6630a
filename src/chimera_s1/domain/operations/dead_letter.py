"""What could not be delivered, kept for an operator."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

PAYLOAD_MAX: Final = 262_144
"""Characters; a longer payload is not kept, and the reason says so."""

REASON_MAX: Final = 500


class LetterPort(StrEnum):
    """Where a payload was to be delivered. Stored letters may name ports of other versions."""

    OPERATIONS_LOG = "operations_log"
    MARKET_STATUS = "market_status"
    INSTRUMENT_REGISTRY = "instrument_registry"
    FUNDING_EVENTS = "funding_events"


TakeLetter: TypeAlias = Callable[[LetterPort, str, str, bytes, int], None]
"""Keeps an undelivered payload: port, key, reason, payload, attempts; never waits or raises."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One undelivered payload.

    Attributes:
        ts: When it was given up, local epoch ms.
        port: A `LetterPort`, as text.
        key: Names the payload within its port; the same payload has the same key.
        reason: Why it was not delivered, in the other side's own words.
        payload: JSON, without secrets; empty if it was too long to keep.
        attempts: Failed deliveries; 0 if it was never tried.
    """

    ts: int
    port: str
    key: str
    reason: str
    payload: str
    attempts: int


def make_letter(
    *, ts: int, port: LetterPort, key: str, reason: str, payload: bytes, attempts: int
) -> DeadLetter:
    """A letter of bounded size."""
    text = payload.decode()
    reason = reason[:REASON_MAX]
    if len(text) > PAYLOAD_MAX:
        reason, text = f"{reason} (its payload of {len(text)} characters was not kept)", ""
    return DeadLetter(
        ts=ts, port=port.value, key=key, reason=reason, payload=text, attempts=attempts
    )
