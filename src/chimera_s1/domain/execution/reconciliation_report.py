"""The result of a reconciliation."""

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.execution.foreign_orders import ForeignOrder
from chimera_s1.domain.execution.reconciliation import Difference, Repair
from chimera_s1.domain.execution.reports import FillReport
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.operations.health import count


class BalanceCorrection(Struct, frozen=True, kw_only=True):
    """A read shows a balance that no event has said; free and locked together."""

    wallet: str
    asset: str
    before: Decimal
    after: Decimal


class FirstPosition(Struct, frozen=True, kw_only=True):
    """A position that was there before the ledger's first fill; its quantity is used as it is."""

    symbol: str
    position_side: str
    qty: Decimal


class VenueReconciliation(Struct, frozen=True, kw_only=True):
    """Attributes:
    matched: Client ids of open orders of ours that the exchange lists.
    repaired: Orders of ours that were brought up to date.
    missed_fills: Trades that no event has said, older than an event takes; recorded now.
        Some of them; *missed_fills_count* is their number.
    foreign: Open orders of others.
    young: Client ids of orders that are not listed, which means nothing yet.
    differences: What stays different.
    first_positions: Adopted at the first reconciliation of this ledger.
    corrected_balances: In the picture; the ledger has no balances.
    undecided: A position differs, and the next round decides.
    trades_read: Symbols whose trades were read. The exchange lists trades by symbol only: those of
        others, in a symbol that is neither named nor held nor traded lately, are known from the
        private streams alone; those of a time without streams are missing.
    problems: What could not be read or recorded, and why; the rest was done.
    """

    venue: Venue
    matched: tuple[str, ...] = ()
    repaired: tuple[Repair, ...] = ()
    missed_fills: tuple[FillReport, ...] = ()
    missed_fills_count: int = 0
    foreign: tuple[ForeignOrder, ...] = ()
    young: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    first_positions: tuple[FirstPosition, ...] = ()
    corrected_balances: tuple[BalanceCorrection, ...] = ()
    undecided: bool = False
    trades_read: tuple[Symbol, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        return f"{self.venue.value}: {'; '.join(self._parts())}"

    def _parts(self) -> Iterator[str]:
        yield f"{len(self.matched)} matched, {len(self.foreign)} foreign"
        if self.repaired:
            yield f"{len(self.repaired)} repaired"
        if self.missed_fills_count:
            yield f"{count(self.missed_fills_count, 'fill')} had not been seen"
        if self.young:
            yield f"{len(self.young)} too young to judge"
        if self.differences:
            yield f"{count(len(self.differences), 'difference')} left"
        yield from self.problems


class Reconciliation(Struct, frozen=True, kw_only=True):
    """One round.

    Attributes:
        number: Of the rounds of this process, from 1.
        reasons: What asked for it; empty: its time had come.
        thorough: The trades since the last thorough round were read.
        began_ms, ended_ms: Local epoch ms.
    """

    number: int
    reasons: tuple[str, ...]
    thorough: bool
    began_ms: int
    ended_ms: int
    venues: tuple[VenueReconciliation, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        return tuple(each for venue in self.venues for each in venue.differences)

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(
            f"{venue.venue.value}: {each}" for venue in self.venues for each in venue.problems
        )

    @property
    def agrees(self) -> bool:
        """Everything was read, and nothing stays different."""
        undecided = any(venue.undecided for venue in self.venues)
        return not (self.problems or self.differences or undecided)

    @property
    def sentence(self) -> str:
        return "; ".join(venue.sentence for venue in self.venues)
