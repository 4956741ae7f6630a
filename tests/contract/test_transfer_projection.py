"""What every `TransferProjection` does."""

from typing import Any

import msgspec
import pytest

from chimera_s1.domain.ports.transfer_projection import PageMark, TransferProjection, TransferRow
from tests.contract.ledger_harnesses import LedgerHarness, StoreSet


def row_of(transfer_id: str, **changes: Any) -> TransferRow:
    row = TransferRow(
        transfer_id=transfer_id,
        from_wallet="spot",
        to_wallet="usdm",
        asset="USDT",
        amount="12.34000000",
        amount_usdt=12.34,
        reason="naïve 資金",
        status="PENDING",
        phase="submitted",
        tran_id="",
        message="",
        attempts=1,
        actor="s4",
        verified=False,
        disputed=False,
        corrected=False,
        in_review=True,
        created_at=1_772_514_460_893,
        updated_at=1_772_514_460_894,
        applied_seq=1,
    )
    return msgspec.structs.replace(row, **changes)


async def pages(
    transfers: TransferProjection, limit: int, status: str | None = None
) -> list[TransferRow]:
    found: list[TransferRow] = []
    mark: PageMark | None = None
    while page := await transfers.newest(limit, status=status, before=mark):
        assert len(page) <= limit
        found.extend(page)
        mark = PageMark(page[-1].created_at, page[-1].transfer_id)
    return found


async def test_a_row_reads_back_as_it_was_written(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Every field, also in a later process."""
    row = row_of("a", amount="92233720368.54775807", tran_id="1" * 40, verified=True, attempts=3)

    await ledger_stores.transfers.put((row, row_of("b")))

    for transfers in (ledger_stores.transfers, (await ledger_harness.open()).transfers):
        assert await transfers.get("a") == row
        assert await transfers.get("b") == row_of("b")
        assert await transfers.get("c") is None


async def test_a_row_is_replaced_unless_it_is_newer(ledger_stores: StoreSet) -> None:
    """Newer by `applied_seq`, not by the last writer; the same seq replaces it."""
    newer = row_of("a", applied_seq=9, status="DONE", phase="done", in_review=False)
    await ledger_stores.transfers.put((newer,))

    await ledger_stores.transfers.put((row_of("a", applied_seq=8), row_of("b", applied_seq=8)))

    assert await ledger_stores.transfers.get("a") == newer
    assert await ledger_stores.transfers.get("b") == row_of("b", applied_seq=8)
    same_seq = msgspec.structs.replace(newer, message="text of a later version")
    await ledger_stores.transfers.put((same_seq,))
    assert await ledger_stores.transfers.get("a") == same_seq
    await ledger_stores.transfers.put((row_of("a", applied_seq=10),))
    assert await ledger_stores.transfers.get("a") == row_of("a", applied_seq=10)


async def test_putting_no_rows_does_nothing(ledger_stores: StoreSet) -> None:
    """A commit may concern no transfer."""
    await ledger_stores.transfers.put(())

    assert await ledger_stores.transfers.newest(10) == ()


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1_000])
async def test_pages_together_give_every_row_newest_first(
    ledger_stores: StoreSet, limit: int
) -> None:
    """Rows of one moment by id; no row twice or missing; also by status."""
    moments = {"a": 5, "b": 3, "c": 3, "d": 3, "e": 9, "f": 0}
    statuses = {"a": "DONE", "c": "DONE", "d": "FAILED", "f": "DONE"}
    rows = [
        row_of(name, created_at=moment, status=statuses.get(name, "PENDING"))
        for name, moment in moments.items()
    ]
    await ledger_stores.transfers.put(tuple(rows))

    assert (
        "".join(row.transfer_id for row in await pages(ledger_stores.transfers, limit)) == "eadcbf"
    )
    for status, names in (("DONE", "acf"), ("FAILED", "d"), ("PENDING", "eb"), ("x", "")):
        found = await pages(ledger_stores.transfers, limit, status)
        assert "".join(row.transfer_id for row in found) == names


async def test_a_cleared_projection_accepts_older_rows(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    await ledger_stores.transfers.put((row_of("a", applied_seq=9), row_of("b")))

    await ledger_stores.transfers.clear()

    transfers = (await ledger_harness.open()).transfers
    assert await transfers.newest(10) == ()
    await transfers.put((row_of("a", applied_seq=1),))
    assert await transfers.newest(10) == (row_of("a", applied_seq=1),)
