"""The health report of entries."""

from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level


class EntriesReport(Struct, frozen=True, kw_only=True):
    """Attributes:
    working: Open entries.
    unprotected: Keys of those of which a part has no protection although it should have.
    drives: Venues whose entries this instance drives.
    lease_error: Why the lease of the driver cannot be renewed; empty while it can.
    step_error: Why the newest step failed; empty if it did not.
    """

    working: int
    unprotected: tuple[str, ...]
    drives: tuple[Venue, ...]
    lease_error: str
    step_error: str

    @property
    def level(self) -> Level:
        """RED: a quantity is unprotected; ORANGE: a step fails, or no instance may drive."""
        if self.unprotected:
            return Level.RED
        troubled = self.step_error or (self.lease_error and self.working)
        return Level.ORANGE if troubled else Level.GREEN

    @property
    def grace_ms(self) -> float:
        return 0.0

    @property
    def sentence(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.unprotected:
            yield (
                f"{_entries(len(self.unprotected))} without full protection "
                f"({', '.join(self.unprotected[:3])}): see chimera-s1 entries show, and close or "
                "protect the position at the exchange"
            )
        yield f"{_entries(self.working)} open"
        driven = " and ".join(venue.value for venue in self.drives)
        yield f"this instance drives {driven or 'none'}"
        if self.lease_error:
            yield f"the lease cannot be renewed: {self.lease_error}"
        if self.step_error:
            yield f"a step failed and is repeated: {self.step_error}"


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"
