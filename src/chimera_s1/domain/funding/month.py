"""A month of the funding history, as the public archive cuts it: UTC."""

import re
from calendar import timegm
from typing import NamedTuple, Self

from chimera_s1.domain.errors import InvalidValueError

FIRST_YEAR = 2019
"""USD-M futures began in September 2019."""

_MONTHS = 12
_FORM = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


class Month(NamedTuple):
    """`str` gives `2026-10`."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `2026-10`."""
        found = _FORM.fullmatch(text)
        if found is None or int(found[1]) < FIRST_YEAR:
            raise InvalidValueError(
                f"{text!r} is not a month; write YYYY-MM from {FIRST_YEAR}-01 on, like 2026-10"
            )
        return cls(int(found[1]), int(found[2]))

    @property
    def start(self) -> int:
        """Epoch ms."""
        return timegm((self.year, self.number, 1, 0, 0, 0)) * 1000

    @property
    def end(self) -> int:
        """Epoch ms, included."""
        return self.next().start - 1

    def next(self) -> "Month":
        if self.number == _MONTHS:
            return Month(self.year + 1, 1)
        return Month(self.year, self.number + 1)

    def previous(self) -> "Month":
        if self.number == 1:
            return Month(self.year - 1, _MONTHS)
        return Month(self.year, self.number - 1)
