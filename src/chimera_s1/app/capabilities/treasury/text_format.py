"""How moments, amounts and other people's texts are written for those who read about transfers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chimera_s1.domain.money import exact_text
from chimera_s1.domain.treasury.limits import ASSET, Direction

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_utc(epoch_ms: int) -> str:
    """`2026-11-26T09:00:00.123Z`; what no calendar has stays a number."""
    try:
        text = (_EPOCH + timedelta(milliseconds=epoch_ms)).isoformat(timespec="milliseconds")
    except OverflowError:
        return str(epoch_ms)
    return text.replace("+00:00", "Z")


def format_movement(direction: Direction, amount: Decimal) -> str:
    """`12.5 USDT from SPOT to FUTURES`."""
    wallets = f"from {direction.source.value} to {direction.target.value}"
    return f"{exact_text(amount)} {ASSET} {wallets}"


def escape_unprintable(text: str) -> str:
    r"""*text* on one line, without anything that a terminal would obey: `\n`, `\x1b` as they are
    written in source code.
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
