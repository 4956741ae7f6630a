"""What every `CursorStore` does."""

import anyio

from tests.contract.ledger_harnesses import LedgerHarness, StoreSet


async def test_a_new_cursor_is_zero(ledger_stores: StoreSet) -> None:
    assert await ledger_stores.cursors.read("outbox") == 0


async def test_advance_never_moves_a_cursor_back(ledger_stores: StoreSet) -> None:
    """A lower seq changes nothing; cursors do not affect each other."""
    await ledger_stores.cursors.advance("outbox", 7)
    await ledger_stores.cursors.advance("outbox", 3)
    await ledger_stores.cursors.advance("projection", 1)

    assert await ledger_stores.cursors.read("outbox") == 7
    assert await ledger_stores.cursors.read("projection") == 1


async def test_concurrent_advances_keep_the_highest_seq(ledger_stores: StoreSet) -> None:
    async with anyio.create_task_group() as group:
        for step in range(20):
            group.start_soon(ledger_stores.cursors.advance, "outbox", 1 + step * 7 % 20)

    assert await ledger_stores.cursors.read("outbox") == 20


async def test_a_cursor_outlives_its_process(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """Up to the highest seq, 2^63-1."""
    await ledger_stores.cursors.advance("outbox", (1 << 63) - 1)

    assert await (await ledger_harness.open()).cursors.read("outbox") == (1 << 63) - 1


async def test_a_rewound_cursor_starts_at_zero(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """It advances again to any seq; other cursors stay."""
    await ledger_stores.cursors.advance("projection", 9)
    await ledger_stores.cursors.advance("outbox", 9)

    await ledger_stores.cursors.rewind("projection")
    await ledger_stores.cursors.rewind("never seen")

    assert await (await ledger_harness.open()).cursors.read("projection") == 0
    await (await ledger_harness.open()).cursors.advance("projection", 2)
    cursors = (await ledger_harness.open()).cursors
    assert await cursors.read("projection") == 2
    assert await cursors.read("outbox") == 9
