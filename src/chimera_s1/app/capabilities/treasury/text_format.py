"""Formats times, amounts and external texts for people."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.limits import ASSET, Direction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_utc(epoch_ms: int) -> str:
    """`2026-11-26T09:00:00.123Z`; a number where the time is outside the calendar."""
    try:
        text = (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")
    except OverflowError:
        return str(epoch_ms)
    return text.replace("+00:00", "Z")


def format_movement(direction: Direction, amount: Decimal) -> str:
    """`12.5 USDT from SPOT to FUT`."""
    wallets = f"from {direction.source.value} to {direction.target.value}"
    return f"{exact_text(amount)} {ASSET} {wallets}"
