"""Port: `treasury_transfers`, a read model built from the ledger; no decision is based on it."""

from typing import Protocol

from msgspec import Struct, field


class TransferRow(Struct, frozen=True, kw_only=True):
    """A document of `treasury_transfers`.

    Attributes:
        amount: USDT, exact decimal text.
        amount_usdt: The same as a float64.
        status: PENDING, DONE or FAILED.
        tran_id: The exchange's movement number; empty while unknown.
        created_at, updated_at: Local epoch ms.
        applied_seq: Sequence number of the last commit that changed the row.
    """

    transfer_id: str
    from_wallet: str = field(name="from")
    to_wallet: str = field(name="to")
    asset: str
    amount: str
    amount_usdt: float
    reason: str
    status: str
    phase: str
    tran_id: str
    message: str
    attempts: int
    actor: str
    verified: bool
    disputed: bool
    corrected: bool
    in_review: bool
    created_at: int
    updated_at: int
    applied_seq: int


class TransferProjection(Protocol):
    """Each call raises `StoreUnavailableError` if the store does not answer."""

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        """Write each row, unless a newer one (by `applied_seq`) is stored."""
        ...

    async def get(self, transfer_id: str) -> TransferRow | None: ...

    async def newest(
        self, limit: int, *, status: str | None = None, before: "PageMark | None" = None
    ) -> tuple[TransferRow, ...]:
        """At most *limit* (1 to 1000) rows by `created_at`, then transfer id, both descending,
        after the row *before*.
        """
        ...

    async def clear(self) -> None:
        """Remove every row, to rebuild the projection."""
        ...


class PageMark(Struct, frozen=True):
    """Sort key of the last row of a page."""

    created_at: int
    transfer_id: str
