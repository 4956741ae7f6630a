"""The wallet's transfer and its history (`/sapi/v1/asset/transfer`): questions and answers.

Binance, wallet "User Universal Transfer" and "Query User Universal Transfer History": there is no
id of ours; `type` is mandatory, a page has at most 100 rows, and the history reaches back six
months.
"""

from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import Parameters
from chimera_s1.adapters.binance.treasury.paged_history import Listed, Page, amount_of
from chimera_s1.domain.errors import ExchangeUnavailableError
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.ports.treasury_gateway import TransferOrder
from chimera_s1.domain.treasury.limits import ASSET, Direction
from chimera_s1.domain.treasury.reconciliation import Movement, MovementStatus, Window

PATH = "/sapi/v1/asset/transfer"
PAGE_ROWS = 100


class Row(Struct, frozen=True):
    """A row of the history, with Binance's names."""

    asset: str
    amount: str
    type: str
    status: str
    tranId: int  # noqa: N815 (Binance's name)
    timestamp: int


class Answer(Struct, frozen=True):
    """A page of the history; `rows` may be left out where there are none."""

    total: int
    rows: tuple[Row, ...] = ()


def type_of(direction: Direction) -> str:
    """What Binance calls *direction*."""
    match direction:
        case Direction.SPOT_TO_FUTURES:
            return "MAIN_UMFUTURE"
        case Direction.FUTURES_TO_SPOT:
            return "UMFUTURE_MAIN"
        case _:
            assert_never(direction)


def order_parameters(order: TransferOrder) -> Parameters:
    """Of the request that moves the money."""
    return (
        ("type", type_of(order.direction)),
        ("asset", ASSET),
        ("amount", exact_text(order.amount)),
        ("recvWindow", str(order.recv_window_ms)),
        ("timestamp", str(order.signed_at)),
    )


def history_parameters(direction: Direction, span: Window, page: int) -> Parameters:
    """Of a page of the history, numbered from 1."""
    return (
        ("type", type_of(direction)),
        ("startTime", str(span.start)),
        ("endTime", str(span.end)),
        ("current", str(page)),
        ("size", str(PAGE_ROWS)),
    )


def page_of(answer: Answer, direction: Direction) -> Page:
    """What *answer* says about USDT.

    Raises:
        ExchangeUnavailableError: A row cannot be understood, so nothing is known for certain.
    """
    return Page(answer.total, tuple(_listed(row, direction) for row in answer.rows))


def _listed(row: Row, direction: Direction) -> Listed:
    tran_id = str(row.tranId)
    if row.type != type_of(direction):
        raise ExchangeUnavailableError(
            f"movement {tran_id} is of type {row.type!r}, not {type_of(direction)} as asked for"
        )
    if row.asset != ASSET:
        return Listed(tran_id, None)
    if row.status not in tuple(MovementStatus):
        raise ExchangeUnavailableError(f"movement {tran_id} has an unknown status {row.status!r}")
    status = MovementStatus(row.status)
    return Listed(
        tran_id, Movement(tran_id, direction, amount_of(row.amount), status, row.timestamp)
    )
