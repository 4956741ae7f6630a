"""The id of a stream entry, `<ms>-<number>`."""

from typing import NamedTuple, Self

from chimera_s1.domain.errors import InvalidValueError


class EntryId(NamedTuple):
    """Ids compare as Redis compares them."""

    ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `1772514461000-0`."""
        ms, dash, number = text.partition("-")
        if not (dash and ms.isdecimal() and number.isdecimal()):
            raise InvalidValueError(f"{text!r} is not an entry id; write ms-number")
        return cls(int(ms), int(number))
