"""What the histories show, and when."""

from collections.abc import AsyncIterator

import pytest
from anyio.abc import TaskGroup

from tests.contract.signed_client import TRANSFER, Account, trader

DAY_MS = 86_400_000
OUT, BACK = "MAIN_UMFUTURE", "UMFUTURE_MAIN"


@pytest.fixture
async def account(tasks: TaskGroup) -> AsyncIterator[Account]:
    async with trader(tasks) as client:
        yield client


async def test_the_history_has_pages(account: Account) -> None:
    for amount in range(1, 13):
        await account.transfer(OUT, str(amount))
    await account.transfer(BACK, "99")

    _, first = await account.get(TRANSFER, type=OUT)
    pages = [first["rows"], *[await account.rows(OUT, current=page) for page in (2, 3)]]
    amounts = [float(row["amount"]) for page in pages for row in page]
    refused = [
        (await account.get(TRANSFER, **wrong))[1]["code"]
        for wrong in ({}, {"type": OUT, "size": 101}, {"type": OUT, "current": "x"})
    ]

    assert (first["total"], [len(page) for page in pages]) == (12, [10, 2, 0])
    assert sorted(amounts) == list(range(1, 13))
    assert len(await account.rows(OUT, size=100)) == 12
    assert refused == [-1102, -1130, -1100]


async def test_the_history_covers_a_week_or_the_requested_window(account: Account) -> None:
    await account.transfer(OUT, "1")
    (row,) = await account.rows(OUT)
    at: int = row["timestamp"]
    around = {"startTime": at, "endTime": at}

    await account.move_clock(8 * DAY_MS)
    assert (await account.rows(OUT), await account.income()) == ([], [])
    assert await account.rows(OUT, **around) == [row]
    assert await account.rows(OUT, startTime=at + 1, endTime=at + DAY_MS) == []
    assert await account.rows(OUT, startTime=at - DAY_MS, endTime=at - 1) == []
    assert len(await account.income(**around)) == 1
    await account.move_clock(184 * DAY_MS)
    assert (await account.rows(OUT, **around), await account.income(**around)) == ([], [])


async def test_a_slow_exchange_moves_money_before_the_histories_show_it(account: Account) -> None:
    await account.set(execution_delay_ms=10_000, history_lag_ms=60_000, income_lag_ms=120_000)
    status, _ = await account.transfer(OUT, "7")
    seen = []
    for offset_ms in (0, 15_000, 75_000, 135_000):
        await account.move_clock(offset_ms)
        shown = (len(await account.rows(OUT)), len(await account.income()))
        seen.append((len(await account.moved()), *shown))

    assert status == 200
    assert seen == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]


@pytest.mark.parametrize(
    ("ends", "after", "income"),
    [
        ("CONFIRMED", ["10007", "9993", "0"], ["-7.00000000"]),
        ("FAILED", ["10000", "10000", "0"], ["-7.00000000", "7.00000000"]),
    ],
)
async def test_a_pending_transfer_ends_with_the_configured_status(
    account: Account, ends: str, after: list[str], income: list[str]
) -> None:
    await account.set(pending_ms=60_000, pending_ends=ends)
    _, reply = await account.transfer(BACK, "7")
    pending, meanwhile = await account.rows(BACK), await account.balances()
    await account.move_clock(61_000)
    ended = await account.rows(BACK)

    assert [row["status"] for row in pending + ended] == ["PENDING", ends]
    assert {row["tranId"] for row in pending + ended} == {reply["tranId"]}
    assert (meanwhile, await account.balances()) == (["10000", "9993", "7"], after)
    assert [row["income"] for row in await account.income()] == income
    _, books = await account.sim.control("GET", "/sim/transfers")
    assert [len(books[name]) for name in ("transfers", "failed", "waiting")] == (
        [1, 0, 0] if ends == "CONFIRMED" else [0, 1, 0]
    )
