"""What every `CursorStore` does."""

import anyio

from tests.contract.ledger_harnesses import LedgerHarness, StoreSet


async def test_a_new_reader_begins_at_the_beginning(ledger_stores: StoreSet) -> None:
    """Nothing is done yet."""
    assert await ledger_stores.cursors.read("outbox") == 0


async def test_a_cursor_goes_forward_only(ledger_stores: StoreSet) -> None:
    """A late write of an early position changes nothing; readers do not touch each other."""
    await ledger_stores.cursors.advance("outbox", 7)
    await ledger_stores.cursors.advance("outbox", 3)
    await ledger_stores.cursors.advance("projection", 1)

    assert await ledger_stores.cursors.read("outbox") == 7
    assert await ledger_stores.cursors.read("projection") == 1


async def test_the_latest_of_many_at_once_stays(ledger_stores: StoreSet) -> None:
    """Whoever comes last."""
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ledger_stores.cursors.advance, "outbox", 1 + number * 7 % 20)

    assert await ledger_stores.cursors.read("outbox") == 20


async def test_a_cursor_outlives_its_process(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """The next one goes on where it stood; 2^63-1 is a place like any other."""
    await ledger_stores.cursors.advance("outbox", (1 << 63) - 1)

    assert await (await ledger_harness.open()).cursors.read("outbox") == (1 << 63) - 1


async def test_a_rewound_cursor_begins_anew(
    ledger_harness: LedgerHarness, ledger_stores: StoreSet
) -> None:
    """And goes forward again, from wherever."""
    await ledger_stores.cursors.advance("projection", 9)
    await ledger_stores.cursors.advance("outbox", 9)

    await ledger_stores.cursors.rewind("projection")
    await ledger_stores.cursors.rewind("never seen")

    assert await (await ledger_harness.open()).cursors.read("projection") == 0
    await (await ledger_harness.open()).cursors.advance("projection", 2)
    cursors = (await ledger_harness.open()).cursors
    assert await cursors.read("projection") == 2
    assert await cursors.read("outbox") == 9
