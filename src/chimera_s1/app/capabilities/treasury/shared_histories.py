"""The exchange's histories, read once for all transfers of a round."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.ports.treasury_gateway import HistoryIncompleteError, TreasuryGateway
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.movement_matching import MovementIndex
from chimera_s1.domain.treasury.reconciliation import (
    ExecutionWindow,
    IncomeRow,
    Movement,
    ReconciliationTiming,
    execution_window,
    merge_windows,
)
from chimera_s1.domain.treasury.transfer import Transfer

MERGE_GAP_MS = 3_600_000
"""Windows at most this far apart are read as one: a few rows more, and fewer requests."""

_READ_ERRORS = (ExchangeUnavailableError, ExchangeRefusedError)


class _UnreadWindow(Struct, frozen=True):
    """A window that was not read completely, and why."""

    window: ExecutionWindow
    error: str

    def overlaps(self, other: ExecutionWindow) -> bool:
        return self.window.start <= other.end and other.start <= self.window.end


class SharedHistories:
    """Complete reads, or the errors of incomplete ones."""

    def __init__(
        self, gateway: TreasuryGateway, timing: ReconciliationTiming, read_at: int
    ) -> None:
        """Args:
        read_at: Exchange epoch ms, taken before the first read. The reads show for certain only
            what was in the histories then, and nothing later is read.
        """
        self.read_at = read_at
        self._gateway = gateway
        self._timing = timing
        self._movements: dict[Direction, MovementIndex] = {}
        self._movement_errors: dict[Direction, list[_UnreadWindow]] = defaultdict(list)
        self._income: dict[Decimal, list[IncomeRow]] = defaultdict(list)
        self._income_errors: list[_UnreadWindow] = []

    async def read_movements(self, transfers: Iterable[Transfer]) -> None:
        """Read the wallet's history of each direction over the windows of *transfers*."""
        for direction, group in _by_direction(transfers).items():
            movements: list[Movement] = []
            for window in self._windows(group):
                movements += await self._read(direction, window)
            self._movements[direction] = MovementIndex(movements)

    async def _read(self, direction: Direction, window: ExecutionWindow) -> tuple[Movement, ...]:
        try:
            return await self._gateway.read_movements(direction, window)
        except _READ_ERRORS as error:
            self._movement_errors[direction].append(_UnreadWindow(window, str(error)))
            # What is there may prove success; what is missing proves nothing.
            return error.usable if isinstance(error, HistoryIncompleteError) else ()

    async def read_income(self, transfers: Iterable[Transfer]) -> None:
        """Read the futures income over the windows of *transfers*; each request has weight 30."""
        for window in self._windows(transfers):
            try:
                for row in await self._gateway.read_income(window):
                    self._income[row.amount].append(row)
            except _READ_ERRORS as error:
                self._income_errors.append(_UnreadWindow(window, str(error)))

    def movements(self, direction: Direction) -> MovementIndex:
        """Those that were read; where `movement_error` has an error, others may be missing."""
        return self._movements.get(direction) or MovementIndex(())

    def movement_error(self, transfer: Transfer) -> str:
        """Why the wallet's history was not read completely over the transfer's window, or empty."""
        return self._error_of(transfer, self._movement_errors.get(transfer.direction, ()))

    def income_error(self, transfer: Transfer) -> str:
        """Why the income was not read completely over the transfer's window, or empty."""
        return self._error_of(transfer, self._income_errors)

    def _error_of(self, transfer: Transfer, errors: Iterable[_UnreadWindow]) -> str:
        own = execution_window(transfer, self._timing)
        return next((each.error for each in errors if each.overlaps(own)), "")

    def movements_beside(self, transfers: Iterable[Transfer]) -> list[Movement]:
        """The movements that were made while one of *transfers* may have been executed."""
        return [
            movement
            for direction, group in _by_direction(transfers).items()
            for window in merge_windows(self._execution_windows(group), 0)
            for movement in self.movements(direction).by_tran_id.values()
            if window.start <= movement.moved_at <= window.end
        ]

    def income_of_same_amount(self, transfer: Transfer) -> list[IncomeRow]:
        """The income rows of its direction and amount, at any time."""
        incoming = transfer.direction is Direction.SPOT_TO_FUT
        return self._income.get(transfer.amount if incoming else -transfer.amount, [])

    def _windows(self, transfers: Iterable[Transfer]) -> Iterator[ExecutionWindow]:
        for window in merge_windows(self._execution_windows(transfers), MERGE_GAP_MS):
            # New movements would be added while the history is read.
            end = min(window.end, self.read_at)
            if window.start <= end:
                yield ExecutionWindow(window.start, end)

    def _execution_windows(self, transfers: Iterable[Transfer]) -> Iterator[ExecutionWindow]:
        return (execution_window(transfer, self._timing) for transfer in transfers)


def _by_direction(transfers: Iterable[Transfer]) -> dict[Direction, list[Transfer]]:
    groups: dict[Direction, list[Transfer]] = defaultdict(list)
    for transfer in transfers:
        groups[transfer.direction].append(transfer)
    return groups
