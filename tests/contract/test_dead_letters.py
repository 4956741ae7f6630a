"""The contract of `DeadLetters`, over memory, SQLite, ArangoDB and a real Redis."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chimera_s1.adapters.redis.cluster_client import connect_cluster
from chimera_s1.adapters.redis.dead_letters import RedisDeadLetters
from chimera_s1.domain.operations.dead_letter import DeadLetter
from chimera_s1.domain.ports.dead_letters import DeadLetters
from tests.contract.ledger_harness import LETTERS_MAX
from tests.contract.ledger_harnesses import LEDGER_HARNESSES, LedgerHarness
from tests.contract.redis_cluster import Addresses

TS = 1_772_514_460_893


def letter_of(number: int) -> DeadLetter:
    return DeadLetter(
        ts=TS + number,
        port="operations_log",
        key=f"event {number} 币安",
        reason='Redis: WRONGTYPE "x"\nand more',
        payload=f'{{"n": {number}, "cause": "naïve"}}',
        attempts=number,
    )


@pytest.fixture(params=[*LEDGER_HARNESSES, "redis"])
async def letters(
    request: pytest.FixtureRequest, tmp_path: Path, redis_single_node: Addresses
) -> AsyncIterator[DeadLetters]:
    async with AsyncExitStack() as stack:
        if request.param == "redis":
            client = await stack.enter_async_context(connect_cluster(redis_single_node))
            await client.delete("dlq:s1")
            yield RedisDeadLetters(client, limit=LETTERS_MAX)
            return
        harness = await stack.enter_async_context(LEDGER_HARNESSES[request.param](tmp_path))
        yield (await harness.open()).dead_letters


async def test_letters_are_read_whole_in_the_order_of_their_arrival(letters: DeadLetters) -> None:
    added = [(await letters.add(letter_of(n))).letter_id for n in range(4)]

    page = await letters.page()

    assert [each.letter for each in page] == [letter_of(n) for n in range(4)]
    assert [each.letter_id for each in page] == added
    assert await letters.count() == 4
    assert await letters.find(added[2]) == page[2]


async def test_a_page_begins_after_a_letter_also_after_a_removed_one(letters: DeadLetters) -> None:
    for n in range(4):
        await letters.add(letter_of(n))
    first = await letters.page(limit=2)
    await letters.remove(first[-1].letter_id)

    second = await letters.page(after=first[-1].letter_id, limit=2)

    assert [each.letter.attempts for each in (*first, *second)] == [0, 1, 2, 3]
    assert await letters.page(after=second[-1].letter_id) == ()


async def test_a_removed_letter_is_gone(letters: DeadLetters) -> None:
    kept = (await letters.add(letter_of(1))).letter_id
    gone = (await letters.add(letter_of(2))).letter_id

    await letters.remove(gone)

    assert await letters.find(gone) is None
    assert not await letters.remove(gone)
    assert [each.letter_id for each in await letters.page()] == [kept]
    assert await letters.count() == 1


async def test_the_oldest_letters_make_room_and_are_counted(letters: DeadLetters) -> None:
    dropped = [(await letters.add(letter_of(n))).dropped for n in range(LETTERS_MAX + 2)]

    kept = [each.letter.attempts for each in await letters.page()]
    assert kept == list(range(2, LETTERS_MAX + 2))
    assert dropped[:LETTERS_MAX] == [0] * LETTERS_MAX
    assert await letters.count() == LETTERS_MAX


async def test_text_that_is_no_id_names_no_letter(letters: DeadLetters) -> None:
    await letters.add(letter_of(1))

    for text in ("", "x", "1 2", "0" * 400, "../../x", "币", "1-", "5-x"):
        assert await letters.find(text) is None
        assert not await letters.remove(text)
    assert await letters.page(after="x") == ()
    assert await letters.count() == 1


async def test_letters_outlive_the_process(ledger_harness: LedgerHarness) -> None:
    first = await ledger_harness.open()
    added = await first.dead_letters.add(letter_of(1))

    second = await ledger_harness.open()

    found = await second.dead_letters.find(added.letter_id)
    assert found is not None
    assert found.letter == letter_of(1)


async def test_the_stream_holds_exactly_these_fields(redis_single_node: Addresses) -> None:
    """In the order that other services parse."""
    async with connect_cluster(redis_single_node) as client:
        await client.delete("dlq:s1")
        letters = RedisDeadLetters(client, limit=LETTERS_MAX)
        dropped = [(await letters.add(letter_of(n))).dropped for n in range(LETTERS_MAX + 1)]
        [(_, fields)] = await client.execute_command("XREVRANGE", "dlq:s1", "+", "-", "COUNT", 1)
        await client.execute_command("XADD", "dlq:s1", "*", "payload", "by hand", "ts", "soon")
        foreign = (await letters.page())[-1].letter

    assert list(fields) == ["ts", "port", "key", "reason", "payload", "attempts"]
    assert fields["ts"] == str(TS + LETTERS_MAX)
    assert dropped[-1] == 1
    assert (foreign.ts, foreign.port, foreign.payload) == (0, "", "by hand")
