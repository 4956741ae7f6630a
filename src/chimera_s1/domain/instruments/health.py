"""Health report of the instrument registry."""

from msgspec import Struct

from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.health import Level, count
from chimera_s1.domain.operations.schedule import DAY_MS

LATE_AFTER_MS = DAY_MS + 3_600_000
"""A listing is read once a day at least; an hour for its retries."""

FIRST_READ_GRACE_MS = 30_000
_REFUSED = "chimera-s1 dead-letters list shows them"


class VenueRegistry(Struct, frozen=True, kw_only=True):
    """What is known of a venue's instruments.

    Attributes:
        instruments: In the registry; None before the first is known.
        age_ms: Since the listing was last read whole; None if it never was.
        held: Rows in quarantine.
        unusable: Rows of the last listing that could not be decoded.
        problem: Why the registry is not current; empty if it is.
    """

    venue: Venue
    instruments: int | None
    age_ms: float | None
    held: int = 0
    unusable: int = 0
    problem: str = ""

    @property
    def level(self) -> Level:
        late = self.age_ms is None or self.age_ms > LATE_AFTER_MS
        if self.instruments is None or self.held or (late and self.problem):
            return Level.ORANGE
        return Level.YELLOW if self.problem or self.unusable or late else Level.GREEN

    @property
    def sentence(self) -> str:
        return "; ".join([f"{self.venue.value}: {self._known()}", *self._remarks()])

    def _known(self) -> str:
        if self.instruments is None:
            return "no listing yet"
        if self.age_ms is None:
            return f"{self.instruments} instruments"
        return f"{count(self.instruments, 'instrument')}, read {self.age_ms / 60_000:.0f} min ago"

    def _remarks(self) -> list[str]:
        remarks = []
        if self.held:
            remarks.append(
                f"{count(self.held, 'row')} in quarantine: compare with Binance, then chimera-s1 "
                "instruments sync --accept; a read an hour later that says the same applies them"
            )
        if self.unusable:
            remarks.append(f"{count(self.unusable, 'row')} cannot be decoded")
        return [*remarks, self.problem] if self.problem else remarks


class InstrumentsReport(Struct, frozen=True, kw_only=True):
    """The registry.

    Attributes:
        has_key: Without an exchange key there are no leverage brackets.
        refused: Changes that the store refuses for good.
        store_problem: Why the stored registry cannot be read; empty if it can.
        relay_problem: Why changes are not written to `ops:events`; empty if they are.
    """

    venues: tuple[VenueRegistry, ...]
    has_key: bool
    refused: int = 0
    store_problem: str = ""
    relay_problem: str = ""

    @property
    def level(self) -> Level:
        worst = max((venue.level for venue in self.venues), default=Level.GREEN)
        if self.refused:
            worst = max(worst, Level.ORANGE)
        if self.store_problem or self.relay_problem:
            worst = max(worst, Level.YELLOW)
        return worst

    @property
    def grace_ms(self) -> float:
        """None for quarantine and refused changes: a person must look at them."""
        waits = any(venue.instruments is None for venue in self.venues)
        return FIRST_READ_GRACE_MS if waits and not self.refused else 0

    @property
    def sentence(self) -> str:
        remarks = (
            (self.refused, f"the store refuses {count(self.refused, 'change')}: {_REFUSED}"),
            (self.store_problem, f"the stored registry cannot be read: {self.store_problem}"),
            (self.relay_problem, f"changes do not reach ops:events: {self.relay_problem}"),
            (not self.has_key, "no leverage brackets: they need an exchange key"),
        )
        sentences = (venue.sentence for venue in self.venues)
        return "; ".join([*sentences, *(text for applies, text in remarks if applies)])
