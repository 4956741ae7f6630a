"""The daily cap: how much of it the transfers accepted on one UTC day use.

An amount is reserved at acceptance, settled when the money has moved, and released only when the
transfer has finally failed. A transfer with an unknown outcome counts.
"""

from decimal import Decimal
from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.treasury.events import (
    CapEvent,
    CapRebooked,
    CapReleased,
    CapReserved,
    CapSettled,
)

_DAY_MS = 86_400_000
_DAYS_TO_1970 = 719_468
_DAYS_400_YEARS = 146_097


class CapDay(Struct, frozen=True):
    """One UTC day of the cap; *used* is reserved plus settled, USDT."""

    used: Decimal = Decimal(0)
    version: int = 0


def evolve_cap(day: CapDay, event: CapEvent) -> CapDay:
    """Apply *event*. The phases of the transfer ensure that an amount is reserved first, and
    settled or released once.
    """
    match event:
        case CapReserved(amount=amount) | CapRebooked(amount=amount):
            used = day.used + amount
        case CapReleased(amount=amount):
            used = day.used - amount
        case CapSettled():
            used = day.used
        case _:
            assert_never(event)
    return CapDay(used, day.version + 1)


def utc_day(epoch_ms: int) -> str:
    """The UTC date, `2026-11-26`.

    Counts eras of 400 years from 1 March of year 0, so that the leap day is the last day of its
    year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    """
    days = epoch_ms // _DAY_MS + _DAYS_TO_1970
    era, day_of_era = divmod(days, _DAYS_400_YEARS)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9  # noqa: PLR2004 (March is 0)
    year = year_of_era + era * 400 + (month <= 2)  # noqa: PLR2004 (January and February)
    return f"{year:04d}-{month:02d}-{day:02d}"
