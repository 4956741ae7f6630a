"""What every `CursorStore` does."""

import anyio

from tests.contract.ledger_harnesses import Bench, Stores


async def test_a_new_reader_begins_at_the_beginning(stores: Stores) -> None:
    """Nothing is done yet."""
    assert await stores.cursors.position("outbox") == 0


async def test_a_cursor_goes_forward_only(stores: Stores) -> None:
    """A late write of an early position changes nothing; readers do not touch each other."""
    await stores.cursors.advance("outbox", 7)
    await stores.cursors.advance("outbox", 3)
    await stores.cursors.advance("projection", 1)

    assert await stores.cursors.position("outbox") == 7
    assert await stores.cursors.position("projection") == 1


async def test_the_latest_of_many_at_once_stays(stores: Stores) -> None:
    """Whoever comes last."""
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(stores.cursors.advance, "outbox", 1 + number * 7 % 20)

    assert await stores.cursors.position("outbox") == 20


async def test_a_cursor_outlives_its_process(bench: Bench, stores: Stores) -> None:
    """The next one goes on where it stood; 2^63-1 is a place like any other."""
    await stores.cursors.advance("outbox", (1 << 63) - 1)

    assert await (await bench.open()).cursors.position("outbox") == (1 << 63) - 1


async def test_a_rewound_cursor_begins_anew(bench: Bench, stores: Stores) -> None:
    """And goes forward again, from wherever."""
    await stores.cursors.advance("projection", 9)
    await stores.cursors.advance("outbox", 9)

    await stores.cursors.rewind("projection")
    await stores.cursors.rewind("never seen")

    assert await (await bench.open()).cursors.position("projection") == 0
    await (await bench.open()).cursors.advance("projection", 2)
    cursors = (await bench.open()).cursors
    assert await cursors.position("projection") == 2
    assert await cursors.position("outbox") == 9
