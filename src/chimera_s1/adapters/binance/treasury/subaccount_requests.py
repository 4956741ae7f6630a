"""Requests and replies of the transfer with our id, `/sapi/v1/sub-account/universalTransfer`.

Binance, sub-account "Universal Transfer" and "Query Universal Transfer History": only a master
account may use it. An e-mail is only needed where both account types are the same, so none is sent;
the history's window is less than 7 days, and its pages hold at most 500 rows of all directions.
"""

from functools import partial
from typing import assert_never

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.http.signing import Parameters
from chimera_s1.adapters.binance.treasury.paged_history import (
    HistoryPage,
    HistoryRow,
    read_row,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.money import exact_text, parse_usdt
from chimera_s1.domain.ports.treasury_gateway import TransferSubmission
from chimera_s1.domain.treasury.limits import ASSET, Direction, Wallet
from chimera_s1.domain.treasury.reconciliation import (
    CLIENT_ID_PREFIX,
    ExecutionWindow,
    Movement,
    MovementStatus,
)

PATH = "/sapi/v1/sub-account/universalTransfer"
PAGE_ROWS = 100

_ACCOUNT_TYPES = frozenset(
    {"SPOT", "USDT_FUTURE", "COIN_FUTURE", "MARGIN", "ISOLATED_MARGIN", "ALPHA"}
)
_STATUS_BY_NAME = {
    "SUCCESS": MovementStatus.CONFIRMED,
    "PROCESS": MovementStatus.PENDING,
    "FAILURE": MovementStatus.FAILED,
}


class SubaccountTransferRow(Struct, frozen=True):
    tranId: int  # noqa: N815 (Binance's name)
    asset: str
    amount: str
    createTimeStamp: int  # noqa: N815 (Binance's name)
    fromAccountType: str  # noqa: N815 (Binance's name)
    toAccountType: str  # noqa: N815 (Binance's name)
    status: str
    fromEmail: str | None = None  # noqa: N815 (Binance's name)
    toEmail: str | None = None  # noqa: N815 (Binance's name)
    clientTranId: str | None = None  # noqa: N815 (Binance's name)


class SubaccountHistoryPage(Struct, frozen=True):
    """`result` may be absent where there are no rows."""

    totalCount: int  # noqa: N815 (Binance's name)
    result: tuple[Raw, ...] = ()


def account_type(wallet: Wallet) -> str:
    """Binance's name of *wallet*."""
    match wallet:
        case Wallet.SPOT:
            return "SPOT"
        case Wallet.FUT:
            return "USDT_FUTURE"
        case _:
            assert_never(wallet)


def order_parameters(order: TransferSubmission) -> Parameters:
    """Of the request that moves the money, in the order in which they are signed."""
    return (
        ("fromAccountType", account_type(order.direction.source)),
        ("toAccountType", account_type(order.direction.target)),
        ("asset", ASSET),
        ("amount", exact_text(order.amount)),
        ("clientTranId", order.client_id),
        ("recvWindow", str(order.recv_window_ms)),
        ("timestamp", str(order.signed_at)),
    )


def history_parameters(window_part: ExecutionWindow, page: int) -> Parameters:
    """Of one page of the history; pages are numbered from 1."""
    return (
        ("startTime", str(window_part.start)),
        ("endTime", str(window_part.end)),
        ("page", str(page)),
        ("limit", str(PAGE_ROWS)),
    )


def parse_page(page: SubaccountHistoryPage, direction: Direction) -> HistoryPage:
    """The movements of USDT in *direction* within one account, and the rows that are none or cannot
    be used.
    """
    parse = partial(_parse_row, direction)
    return HistoryPage(page.totalCount, tuple(read_row(row, parse) for row in page.result))


def _parse_row(direction: Direction, raw: Raw) -> HistoryRow:
    row = msgspec.json.decode(raw, type=SubaccountTransferRow)
    tran_id = str(row.tranId)
    ends = (account_type(direction.source), account_type(direction.target))
    accounts = (row.fromAccountType, row.toAccountType)
    if row.asset != ASSET or _is_between_accounts(row):
        return HistoryRow(tran_id, None)
    if not _ACCOUNT_TYPES.issuperset(accounts) and not _is_of_other_client(row):
        raise InvalidValueError(f"unknown account type: {accounts}")
    if accounts != ends:
        return HistoryRow(tran_id, None)
    if row.status not in _STATUS_BY_NAME:
        raise InvalidValueError(f"unknown status {row.status!r}")
    return HistoryRow(
        tran_id,
        Movement(
            tran_id,
            direction,
            parse_usdt(row.amount),
            _STATUS_BY_NAME[row.status],
            row.createTimeStamp,
            row.clientTranId or "",
        ),
    )


def _is_of_other_client(row: SubaccountTransferRow) -> bool:
    """Whether another program gave it an id; ours begin as `client_id_of` makes them."""
    return bool(row.clientTranId) and not str(row.clientTranId).startswith(CLIENT_ID_PREFIX)


def _is_between_accounts(row: SubaccountTransferRow) -> bool:
    # Not documented: whether a transfer within one account names both.
    return bool(row.fromEmail and row.toEmail) and row.fromEmail != row.toEmail
