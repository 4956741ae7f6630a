"""`treasury_transfers` in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.transfer_projection import PageMark, TransferRow


class MemoryTransferProjection:
    """Implements `domain.ports.transfer_projection.TransferProjection`."""

    def __init__(self) -> None:
        self.rows: dict[str, TransferRow] = {}

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        await checkpoint()
        for row in rows:
            stored = self.rows.get(row.transfer_id, row)
            if row.applied_seq >= stored.applied_seq:
                self.rows[row.transfer_id] = row

    async def get(self, transfer_id: str) -> TransferRow | None:
        await checkpoint()
        return self.rows.get(transfer_id)

    async def newest(
        self, limit: int, *, status: str | None = None, before: PageMark | None = None
    ) -> tuple[TransferRow, ...]:
        await checkpoint()
        matching = [
            row
            for row in self.rows.values()
            if status in {None, row.status}
            and (before is None or _sort_key(row) < _sort_key(before))
        ]
        return tuple(sorted(matching, key=_sort_key, reverse=True)[:limit])

    async def clear(self) -> None:
        await checkpoint()
        self.rows.clear()


def _sort_key(row: TransferRow | PageMark) -> tuple[int, str]:
    return row.created_at, row.transfer_id
