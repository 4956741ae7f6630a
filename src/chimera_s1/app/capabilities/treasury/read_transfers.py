"""Read transfers: one as the ledger has it, many as the projection has them, and what may be moved
today.
"""

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
"""A transfer from the ledger; from the projection where the ledger is damaged."""


class TransferPage(Struct, frozen=True):
    """Some transfers, the newest first.

    Attributes:
        next_mark: Where the next page begins; None where there is none.
    """

    rows: tuple[TransferRow, ...]
    next_mark: PageMark | None


class LimitsToday(Struct, frozen=True):
    """What may be moved.

    Attributes:
        day: UTC date.

        used: What of the day's cap is reserved or settled, USDT.
    """

    limits: TransferLimits
    day: str
    used: Decimal

    @property
    def left(self) -> Decimal:
        """What of the day's cap can still be accepted, USDT; 0 where the cap was lowered below
        that.
        """
        return max(Decimal(0), self.limits.daily_cap - self.used)


class ReadTransfers:
    """Args:
    ledger: What is so.

    projection: What was so a moment ago, in order.

    clock: Says which day it is.

    limits: Those in force now.
    """

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
        """A transfer.

        A damaged ledger may have lost it, or changed it: then the projection is asked what it has
        kept.

        Raises:
            TransferNotFoundError: There is none.

            StoreUnavailableError: The store does not answer.

            LedgerDamagedError: The ledger's entries of it are not what was written, and nothing
                else shows it.
        """
        try:
            found = await self._ledger.find(transfer_id)
        except LedgerDamagedError:
            row = await self._projection.get(transfer_id)
            if row is None:
                raise
            return row
        kept = None
        if found is None and self._ledger.damage:
            kept = await self._projection.get(transfer_id)
        seen = found or kept
        if seen is None:
            raise TransferNotFoundError(f"there is no transfer {transfer_id}; look at the list")
        return seen

    async def list_page(
        self, limit: int, *, status: TransferStatus | None, before: PageMark | None
    ) -> TransferPage:
        """Transfers, the newest first; one that has just changed may still be shown as it was.

        Args:
            limit: How many, 1 to `PAGE_MAX`.

            status: Of these only; None for all.

            before: Where the page before ended.

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
        """The limits in force, and what of today's cap is taken by all instances together.

        Raises:
            StoreUnavailableError, LedgerDamagedError: What is taken cannot be known.
        """
        await self._ledger.catch_up()
        day = utc_day(self._clock.now_ms())
        return LimitsToday(self._limits(), day, self._ledger.open_transfers.cap_on(day).used)
