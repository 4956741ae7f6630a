"""`treasury_transfers` in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import StoreUnavailableError
from chimera_s1.domain.ports.transfer_projection import PageMark, TransferRow


class MemoryTransferProjection:
    """Implements `domain.ports.transfer_projection.TransferProjection`; `unavailable` makes it
    unreachable until it is set back.
    """

    def __init__(self, rows: dict[str, TransferRow] | None = None) -> None:
        """Args: rows: What an earlier one has left, by transfer id."""
        self.rows = {} if rows is None else rows
        self.unavailable = False

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        """Write each row, unless a newer one is there."""
        await self._check_available()
        for row in rows:
            there = self.rows.get(row.transfer_id, row)
            if row.applied_seq >= there.applied_seq:
                self.rows[row.transfer_id] = row

    async def get(self, transfer_id: str) -> TransferRow | None:
        """One row."""
        await self._check_available()
        return self.rows.get(transfer_id)

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        """Rows by `created_at`, then transfer id, both descending."""
        await self._check_available()
        wanted = [
            row
            for row in self.rows.values()
            if status in {None, row.status}
            and (before is None or _sort_key(row) < _mark_key(before))
        ]
        return tuple(sorted(wanted, key=_sort_key, reverse=True)[:limit])

    async def clear(self) -> None:
        """Remove every row."""
        await self._check_available()
        self.rows.clear()

    async def _check_available(self) -> None:
        await checkpoint()
        if self.unavailable:
            raise StoreUnavailableError("the transfers' store is gone")


def _sort_key(row: TransferRow) -> tuple[int, str]:
    return row.created_at, row.transfer_id


def _mark_key(mark: PageMark) -> tuple[int, str]:
    return mark.created_at, mark.transfer_id
