"""Compare the futures positions with the ledger's fills, and find fills that were not seen."""

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from chimera_s1.app.capabilities.execution.execution_ledger import ExecutionLedger
from chimera_s1.domain.execution.events import PositionAdopted
from chimera_s1.domain.execution.position_check import (
    KnownPosition,
    Mismatch,
    OffsetWatch,
    PositionKey,
    mismatches,
    position_difference,
    possible_offsets,
)
from chimera_s1.domain.execution.reconciliation import Difference
from chimera_s1.domain.execution.reconciliation_report import FirstPosition
from chimera_s1.domain.execution.reports import PositionReport
from chimera_s1.domain.identifiers import Symbol, Venue
from chimera_s1.domain.ports.clock import Clock


class ComparedPositions(Struct, frozen=True, kw_only=True):
    """*undecided*: a position differs, and a later look decides."""

    differences: tuple[Difference, ...]
    first: tuple[FirstPosition, ...]
    undecided: bool


class ComparePositions:
    """An offset that no trade explains is adopted, and said: once, by the instance that adopts it.
    One of the first round of a ledger is adopted without a difference: it was there before.
    """

    def __init__(self, ledger: ExecutionLedger, clock: Clock, *, actor: str) -> None:
        self._ledger = ledger
        self._clock = clock
        self._actor = actor
        self._watch = OffsetWatch()

    def find(self, read: Iterable[PositionReport]) -> tuple[Mismatch, ...]:
        """Positions whose trades must be read before `judge`."""
        return mismatches(self._ledger.state.positions.positions, read)

    async def judge(
        self,
        found: Iterable[Mismatch],
        unread: frozenset[Symbol],
        *,
        read_from_ms: int,
        is_first: bool,
    ) -> ComparedPositions:
        """*unread*: their trades could not be read, so nothing is concluded.

        Raises:
            StoreUnavailableError, LedgerDamagedError, LedgerTooNewError: Compare again.
        """
        differences: list[Difference] = []
        first: list[FirstPosition] = []
        undecided = False
        left = [each for each in found if 0 not in self._offsets(each, read_from_ms)]
        self._watch.keep({each.key for each in left})
        for mismatch in left:
            offsets = self._offsets(mismatch, read_from_ms)
            now_ms = self._clock.monotonic_ms()
            offset = None
            if mismatch.key.symbol not in unread:
                offset = self._watch.settled(mismatch.key, offsets, now_ms)
                if is_first and len(offsets) == 1:
                    offset = next(iter(offsets))
            if offset is None:
                undecided = True
            elif await self._adopt(mismatch, offset, read_from_ms):
                if is_first:
                    first.append(_first_position(mismatch))
                else:
                    differences.append(position_difference(mismatch, offset))
        return ComparedPositions(
            differences=tuple(differences), first=tuple(first), undecided=undecided
        )

    def _known(self, key: PositionKey) -> KnownPosition:
        return self._ledger.state.positions.positions.get(key, KnownPosition())

    def _offsets(self, mismatch: Mismatch, read_from_ms: int) -> frozenset[Decimal]:
        fills = (
            known.fill
            for known in self._ledger.state.fills.values()
            if known.fill.venue is Venue.PERP and known.fill.symbol == mismatch.key.symbol
        )
        known_now = self._known(mismatch.key).qty
        return possible_offsets(mismatch, known_now, fills, read_from_ms)

    async def _adopt(self, mismatch: Mismatch, offset: Decimal, read_from_ms: int) -> bool:
        """False where another instance has adopted a quantity meanwhile."""
        event = PositionAdopted(
            symbol=mismatch.key.symbol,
            position_side=mismatch.key.side,
            qty=mismatch.found,
            known_qty=mismatch.found - offset,
            at_ms=read_from_ms,
        )
        self._watch.forget(mismatch.key)
        return await self._ledger.adopt(event, mismatch.known, self._actor)


def _first_position(mismatch: Mismatch) -> FirstPosition:
    return FirstPosition(
        symbol=mismatch.key.symbol, position_side=mismatch.key.side, qty=mismatch.found
    )
