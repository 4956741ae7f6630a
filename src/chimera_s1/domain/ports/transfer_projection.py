"""Port: `treasury_transfers`, the transfers as people and reports look at them.

It is made from the ledger and can be thrown away; nothing is decided from it.
"""

from typing import Protocol

from msgspec import Struct, field


class TransferRow(Struct, frozen=True, kw_only=True):
    """A document of `treasury_transfers`.

    Attributes:
        from_wallet, to_wallet: Stored as `from` and `to`.

        amount: USDT, exact decimal text.

        amount_usdt: The same as a float64, for those who calculate.

        status: PENDING, DONE or FAILED.

        phase: Where it is inside.

        tran_id: The exchange's number of the movement; empty before there is one.

        message: For people; empty where there is nothing to say.

        created_at, updated_at: Local epoch ms.

        applied_seq: Place in the ledger of the last commit that changed it.
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
    """Each call raises `StoreUnavailableError` where the store does not answer."""

    async def put(self, rows: tuple[TransferRow, ...]) -> None:
        """Write each row, unless a newer one (by `applied_seq`) is there."""
        ...

    async def get(self, transfer_id: str) -> TransferRow | None:
        """One row."""
        ...

    async def newest(
        self, limit: int, *, status: str | None = None, before: "PageMark | None" = None
    ) -> tuple[TransferRow, ...]:
        """Rows by `created_at`, then transfer id, both descending; at most *limit*.

        Args:
            limit: 1 to 1000.

            status: PENDING, DONE or FAILED; None for all.

            before: Where the page before ended.
        """
        ...

    async def clear(self) -> None:
        """Remove every row; the projection is rebuilt."""
        ...


class PageMark(Struct, frozen=True):
    """The last row of a page."""

    created_at: int
    transfer_id: str
