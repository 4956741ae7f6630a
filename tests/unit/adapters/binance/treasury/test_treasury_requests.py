"""Wallet requests and the meaning of their replies."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from chimera_s1.adapters.binance import income
from chimera_s1.adapters.binance.treasury import (
    income_requests,
    subaccount_requests,
    wallet_requests,
)
from chimera_s1.adapters.binance.treasury.paged_history import HistoryPage, HistoryRow
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.ports.treasury_gateway import TransferSubmission
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import (
    ExecutionWindow,
    IncomeRow,
    Movement,
    MovementStatus,
)

ORDER = TransferSubmission(
    direction=Direction.SPOT_TO_FUT,
    amount=Decimal("1E+2"),
    client_id="s1-abc-1",
    signed_at=1_772_655_374_000,
    recv_window_ms=5_000,
)
DOCUMENTED_ROW = {
    "asset": "USDT",
    "amount": "25.00000117",
    "type": "MAIN_UMFUTURE",
    "status": "CONFIRMED",
    "tranId": 13526853623,
    "timestamp": 1772655374733,
}
SUBACCOUNT_ROW = {
    "tranId": 11945860693,
    "fromEmail": "master@test.com",
    "toEmail": "master@test.com",
    "asset": "USDT",
    "amount": "25.00000117",
    "createTimeStamp": 1772655374733,
    "fromAccountType": "SPOT",
    "toAccountType": "USDT_FUTURE",
    "status": "SUCCESS",
    "clientTranId": "s1-abc-1",
}


def wallet_page(*rows: dict[str, Any]) -> HistoryPage:
    raw = msgspec.json.encode({"total": len(rows), "rows": rows})
    answer = msgspec.json.decode(raw, type=wallet_requests.WalletHistoryPage)
    return wallet_requests.parse_page(answer, Direction.SPOT_TO_FUT)


def subaccount_page(*rows: dict[str, Any]) -> HistoryPage:
    raw = msgspec.json.encode({"totalCount": len(rows), "result": rows})
    answer = msgspec.json.decode(raw, type=subaccount_requests.SubaccountHistoryPage)
    return subaccount_requests.parse_page(answer, Direction.SPOT_TO_FUT)


def test_an_amount_is_a_plain_decimal() -> None:
    """Never an exponent; the time is the order's."""
    assert list(wallet_requests.order_parameters(ORDER)) == [
        ("type", "MAIN_UMFUTURE"),
        ("asset", "USDT"),
        ("amount", "100"),
        ("recvWindow", "5000"),
        ("timestamp", "1772655374000"),
    ]


def test_a_subaccount_transfer_carries_our_id() -> None:
    """And no e-mail: both wallets are the master's."""
    back = msgspec.structs.replace(ORDER, direction=Direction.FUT_TO_SPOT)

    assert list(subaccount_requests.order_parameters(back)) == [
        ("fromAccountType", "USDT_FUTURE"),
        ("toAccountType", "SPOT"),
        ("asset", "USDT"),
        ("amount", "100"),
        ("clientTranId", "s1-abc-1"),
        ("recvWindow", "5000"),
        ("timestamp", "1772655374000"),
    ]


@pytest.mark.parametrize(
    ("page", "client_id"),
    [(wallet_page(DOCUMENTED_ROW), ""), (subaccount_page(SUBACCOUNT_ROW), "s1-abc-1")],
    ids=["wallet", "subaccount"],
)
def test_a_documented_row_is_a_movement(page: HistoryPage, client_id: str) -> None:
    """With the exact amount; ours by its id where there is one."""
    (listed,) = page.rows

    assert listed.movement == Movement(
        listed.tran_id,
        Direction.SPOT_TO_FUT,
        Decimal("25.00000117"),
        MovementStatus.CONFIRMED,
        1772655374733,
        client_id,
    )


@pytest.mark.parametrize("text", ["1", "1.0", "1.00000000", "01", "1E0"])
def test_amounts_are_compared_as_numbers(text: str) -> None:
    (listed,) = wallet_page({**DOCUMENTED_ROW, "amount": text}).rows

    assert listed.movement is not None
    assert listed.movement.amount == Decimal(1)


@pytest.mark.parametrize(
    ("page_of", "row", "theirs", "ours"),
    [
        (wallet_page, DOCUMENTED_ROW, "PENDING", MovementStatus.PENDING),
        (wallet_page, DOCUMENTED_ROW, "FAILED", MovementStatus.FAILED),
        (subaccount_page, SUBACCOUNT_ROW, "PROCESS", MovementStatus.PENDING),
        (subaccount_page, SUBACCOUNT_ROW, "FAILURE", MovementStatus.FAILED),
    ],
)
def test_statuses_are_distinguished(
    page_of: Callable[..., HistoryPage], row: dict[str, Any], theirs: str, ours: MovementStatus
) -> None:
    """By the names of each endpoint."""
    (listed,) = page_of({**row, "status": theirs}).rows

    assert listed.movement is not None
    assert listed.movement.status is ours


@pytest.mark.parametrize(
    ("page_of", "row", "change"),
    [
        (wallet_page, DOCUMENTED_ROW, {"status": "SUCCESS"}),
        (wallet_page, DOCUMENTED_ROW, {"status": "confirmed"}),
        (wallet_page, DOCUMENTED_ROW, {"type": "UMFUTURE_MAIN"}),
        (wallet_page, DOCUMENTED_ROW, {"amount": "0"}),
        (wallet_page, DOCUMENTED_ROW, {"amount": "NaN"}),
        (wallet_page, DOCUMENTED_ROW, {"amount": 25}),
        (wallet_page, DOCUMENTED_ROW, {"timestamp": "soon"}),
        *(
            (wallet_page, DOCUMENTED_ROW, {"amount": text})
            for text in ("", "Infinity", "-1", "1e400", "1.123456789", "x")
        ),
        (subaccount_page, SUBACCOUNT_ROW, {"status": "CONFIRMED"}),
        (subaccount_page, SUBACCOUNT_ROW, {"toAccountType": "MOON"}),
        (subaccount_page, SUBACCOUNT_ROW, {"amount": "1e99"}),
    ],
)
def test_a_row_that_is_not_understood_is_unusable_and_the_others_are_movements(
    page_of: Callable[..., HistoryPage], row: dict[str, Any], change: dict[str, Any]
) -> None:
    good, odd = page_of(row, {**row, "tranId": 7, **change}).rows

    assert good.movement is not None
    assert odd.movement is None
    assert odd.unusable


@pytest.mark.parametrize(
    ("page_of", "row", "change"),
    [
        (wallet_page, DOCUMENTED_ROW, {"asset": "BTC", "amount": "0.123456789012"}),
        (subaccount_page, SUBACCOUNT_ROW, {"asset": "BTC", "status": "STRANGE"}),
        (subaccount_page, SUBACCOUNT_ROW, {"fromAccountType": "MARGIN"}),
        (subaccount_page, SUBACCOUNT_ROW, {"toEmail": "sub@test.com"}),
        (subaccount_page, SUBACCOUNT_ROW, {"asset": "BTC", "toAccountType": "MOON"}),
        (subaccount_page, SUBACCOUNT_ROW, {"clientTranId": "theirs", "toAccountType": "MOON"}),
    ],
)
def test_rows_of_other_assets_count_as_rows_but_are_no_movements(
    page_of: Callable[..., HistoryPage], row: dict[str, Any], change: dict[str, Any]
) -> None:
    """Another asset, another wallet, another account."""
    page = page_of({**row, **change})

    assert page == HistoryPage(1, (HistoryRow(str(row["tranId"]), None),))


@pytest.mark.parametrize("left_out", [{"toEmail": None}, {"toEmail": ""}, {"fromEmail": None}])
def test_a_movement_without_both_emails_is_within_one_account(left_out: dict[str, Any]) -> None:
    """Whether both are given is not documented, and missing our own movement would be worse."""
    (listed,) = subaccount_page({**SUBACCOUNT_ROW, **left_out}).rows

    assert listed.movement is not None


def test_an_empty_history_may_leave_its_rows_out() -> None:
    """But not its count: that would be no history."""
    assert msgspec.json.decode(b'{"total":0}', type=wallet_requests.WalletHistoryPage).rows == ()
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"{}", type=wallet_requests.WalletHistoryPage)


def income_row(time: int, income: str = "5", **change: str) -> income_requests.IncomeReplyRow:
    row = income_requests.IncomeReplyRow("USDT", income, "TRANSFER", time)
    return msgspec.structs.replace(row, **change)


def as_sent(row: income_requests.IncomeReplyRow) -> Raw:
    return Raw(msgspec.json.encode(row))


class Income:
    """Answers like the exchange: the first thousand rows from `start` on."""

    def __init__(self, rows: list[income_requests.IncomeReplyRow]) -> None:
        self.rows = rows
        self.asked: list[ExecutionWindow] = []

    async def read(self, span: ExecutionWindow) -> tuple[Raw, ...]:
        self.asked.append(span)
        found = [row for row in self.rows if span.start <= row.time <= span.end]
        return tuple(map(as_sent, found[: income.PAGE_ROWS]))


async def test_income_is_signed_and_within_the_window() -> None:
    """Into the futures wallet is positive; other assets and types are left out."""
    rows = (
        income_row(9),
        income_row(10, "-2.5"),
        income_row(11, asset="BNB"),
        income_row(12, incomeType="SOMETHING_NEW"),
        income_row(21),
    )

    async def all_rows(span: ExecutionWindow) -> tuple[Raw, ...]:  # noqa: ARG001 (any)
        return tuple(map(as_sent, rows))

    assert await income_requests.read_income(all_rows, ExecutionWindow(10, 20)) == (
        IncomeRow(Decimal("-2.5"), 10),
    )


async def test_income_is_read_page_by_page_and_each_row_once() -> None:
    """Three rows share the moment at which the first page ends."""
    times = [*range(998), 998, 998, 998, *range(999, 1_600)]
    account = Income([income_row(time) for time in times])
    found = await income_requests.read_income(account.read, ExecutionWindow(0, 5_000))

    assert [row.moved_at for row in found] == times
    assert [span.start for span in account.asked] == [0, 998]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([income_row(7) for _ in range(1_000)], id="one moment fills a page"),
        pytest.param([income_row(t) for t in reversed(range(1_000))], id="the newest first"),
        pytest.param([income_row(7, "much")], id="no number"),
        pytest.param([income_row(7, "NaN")], id="no amount"),
        pytest.param([income_row(7, "1e999999")], id="too large"),
        pytest.param([income_row(7, "1_000")], id="no plain number"),
    ],
)
async def test_income_that_cannot_be_read_completely_raises(
    rows: list[income_requests.IncomeReplyRow],
) -> None:
    """Absence of a row is a conclusion, so the read is complete or fails."""
    with pytest.raises(ExchangeUnavailableError):
        await income_requests.read_income(Income(rows).read, ExecutionWindow(0, 5_000))


async def test_an_unusable_income_row_is_named() -> None:
    async def rows(span: ExecutionWindow) -> tuple[Raw, ...]:  # noqa: ARG001 (any)
        return (as_sent(income_row(7)), Raw(b'{"asset":"USDT","income":5,"time":8}'))

    with pytest.raises(ExchangeUnavailableError, match=r'unusable futures income row .*"income":5'):
        await income_requests.read_income(rows, ExecutionWindow(0, 5_000))
