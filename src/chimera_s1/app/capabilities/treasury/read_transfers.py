"""Read one transfer from the ledger, many from the projection, and today's limits."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from chimera_s1.app.capabilities.treasury.resolve_transfers import TransferNotFoundError
from chimera_s1.app.capabilities.treasury.treasury_ledger import TreasuryLedger
from chimera_s1.domain.errors import LedgerDamagedError
from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.transfer_projection import (
    PageMark,
    TransferProjection,
    TransferRow,
)
from chimera_s1.domain.treasury.daily_cap import utc_day
from chimera_s1.domain.treasury.limits import TransferLimits
from chimera_s1.domain.treasury.transfer import Transfer, TransferStatus

PAGE_MAX = 500

TransferOrRow: TypeAlias = Transfer | TransferRow
"""From the ledger; from the projection where the ledger is damaged."""


class TransferPage(Struct, frozen=True):
    """Transfers, newest first; `next_mark` is None on the last page."""

    rows: tuple[TransferRow, ...]
    next_mark: PageMark | None


class LimitsToday(Struct, frozen=True):
    """The limits of a UTC *day*; *used* is reserved or settled, USDT."""

    limits: TransferLimits
    day: str
    used: Decimal

    @property
    def left(self) -> Decimal:
        """What can still be accepted, USDT; 0 where the cap was lowered below *used*."""
        return max(Decimal(0), self.limits.daily_cap - self.used)


class ReadTransfers:
    def __init__(
        self,
        ledger: TreasuryLedger,
        projection: TransferProjection,
        *,
        clock: Clock,
        limits: Callable[[], TransferLimits],
    ) -> None:
        self._ledger = ledger
        self._projection = projection
        self._clock = clock
        self._limits = limits

    async def get(self, transfer_id: TransferId) -> TransferOrRow:
        """One transfer. A damaged ledger may have lost or changed it: then its row is returned.

        Raises:
            TransferNotFoundError: The id was never used.
            StoreUnavailableError: The store does not answer.
            LedgerDamagedError: Its commits were changed, and there is no row of it.
        """
        try:
            found = await self._ledger.find(transfer_id)
        except LedgerDamagedError:
            row = await self._projection.get(transfer_id)
            if row is None:
                raise
            return row
        row = None
        if found is None and self._ledger.damage:
            row = await self._projection.get(transfer_id)
        transfer = found or row
        if transfer is None:
            raise TransferNotFoundError(
                f"transfer {transfer_id} not found; see GET /xchg/treasury/transfers"
            )
        return transfer

    async def list_page(
        self, limit: int, *, status: TransferStatus | None, before: PageMark | None
    ) -> TransferPage:
        """Transfers, newest first; a change of the last second may be missing.

        *limit* is 1 to `PAGE_MAX`, *before* the `next_mark` of the previous page.

        Raises:
            StoreUnavailableError: The store does not answer.
        """
        wanted = status.value if status is not None else None
        rows = await self._projection.newest(limit + 1, status=wanted, before=before)
        shown = rows[:limit]
        more = len(rows) > limit
        last = PageMark(shown[-1].created_at, shown[-1].transfer_id) if more else None
        return TransferPage(shown, last)

    async def limits_today(self) -> LimitsToday:
        """The limits in force, and how much of today's cap all instances have used.

        Raises:
            StoreUnavailableError, LedgerDamagedError: The used amount is unknown.
        """
        await self._ledger.catch_up()
        day = utc_day(self._clock.now_ms())
        return LimitsToday(self._limits(), day, self._ledger.open_transfers.cap_on(day).used)
