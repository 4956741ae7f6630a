"""Requests and replies of the wallet's transfer and its history, `/sapi/v1/asset/transfer`.

Binance, wallet "User Universal Transfer" and "Query User Universal Transfer History": the client
cannot set an id; `type` is mandatory, a page has at most 100 rows, and the history reaches back six
months.
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
from chimera_s1.domain.treasury.limits import ASSET, Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, Movement, MovementStatus

PATH = "/sapi/v1/asset/transfer"
PAGE_ROWS = 100


class WalletTransferRow(Struct, frozen=True):
    asset: str
    amount: str
    type: str
    status: str
    tranId: int  # noqa: N815 (Binance's name)
    timestamp: int


class WalletHistoryPage(Struct, frozen=True):
    """`rows` may be absent where there are none."""

    total: int
    rows: tuple[Raw, ...] = ()


def transfer_type(direction: Direction) -> str:
    """Binance's name of *direction*."""
    match direction:
        case Direction.SPOT_TO_FUT:
            return "MAIN_UMFUTURE"
        case Direction.FUT_TO_SPOT:
            return "UMFUTURE_MAIN"
        case _:
            assert_never(direction)


def order_parameters(order: TransferSubmission) -> Parameters:
    """Of the request that moves the money, in the order in which they are signed."""
    return (
        ("type", transfer_type(order.direction)),
        ("asset", ASSET),
        ("amount", exact_text(order.amount)),
        ("recvWindow", str(order.recv_window_ms)),
        ("timestamp", str(order.signed_at)),
    )


def history_parameters(direction: Direction, window_part: ExecutionWindow, page: int) -> Parameters:
    """Of one page of the history; pages are numbered from 1."""
    return (
        ("type", transfer_type(direction)),
        ("startTime", str(window_part.start)),
        ("endTime", str(window_part.end)),
        ("current", str(page)),
        ("size", str(PAGE_ROWS)),
    )


def parse_page(page: WalletHistoryPage, direction: Direction) -> HistoryPage:
    """The movements of USDT, and the rows that are none or cannot be used."""
    parse = partial(_parse_row, direction)
    return HistoryPage(page.total, tuple(read_row(row, parse) for row in page.rows))


def _parse_row(direction: Direction, raw: Raw) -> HistoryRow:
    row = msgspec.json.decode(raw, type=WalletTransferRow)
    tran_id = str(row.tranId)
    if row.type != transfer_type(direction):
        raise InvalidValueError(f"type {row.type!r}, expected {transfer_type(direction)}")
    if row.asset != ASSET:
        return HistoryRow(tran_id, None)
    if row.status not in tuple(MovementStatus):
        raise InvalidValueError(f"unknown status {row.status!r}")
    status = MovementStatus(row.status)
    return HistoryRow(
        tran_id, Movement(tran_id, direction, parse_usdt(row.amount), status, row.timestamp)
    )
