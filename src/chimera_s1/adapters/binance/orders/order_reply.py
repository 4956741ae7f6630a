"""What the reply to a request about an order says.

It is accepted only where a 200 shows the order that was asked for: a reply about another order, or
one that cannot be read, leaves the outcome unknown.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance.http.reply_classification import (
    ReplyBody,
    classify_reply,
    decode_body,
    is_client_error,
)
from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.orders import perp_rows, spot_rows
from chimera_s1.adapters.binance.orders.refusals import (
    CANCEL_REJECTED_CODE,
    Failure,
    classify_failure,
)
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRef
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport, ReportSource
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import (
    CancelReply,
    OrderNotFound,
    OrderReply,
    OutcomeUnknown,
    RequestAccepted,
)

_OK = 200


class _AlgoCancelled(Struct, frozen=True, rename="camel"):
    """*code* is the text "200"."""

    algo_id: int
    client_algo_id: str
    code: str | int


class _OrderShape(Struct, frozen=True, rename="camel"):
    """Tells the reply to a cancel of a leg, which shows the whole list, from one order's."""

    list_client_order_id: str | None = None


def read_order_reply(ref: OrderRef, reply: HttpReply) -> OrderReply:
    """The reply to the placement of the order *ref*."""
    if reply.status == _OK:
        return _accepted(ref, reply, is_cancel=False)
    return _failure(ref.family.venue, reply.status, reply.body, reply.headers)


def read_cancel_reply(ref: OrderRef, reply: HttpReply) -> CancelReply:
    if reply.status == _OK:
        return _accepted(ref, reply, is_cancel=True)
    body = decode_body(reply.body, ReplyBody)
    if body is not None and body.code == CANCEL_REJECTED_CODE and is_client_error(reply.status):
        return OrderNotFound(message=classify_reply(reply.status, body, reply.headers).summary)
    return _failure(ref.family.venue, reply.status, reply.body, reply.headers)


def _failure(venue: Venue, status: int, body: bytes, headers: Mapping[str, str]) -> Failure:
    return classify_failure(venue, status, decode_body(body, ReplyBody), headers)


def _accepted(ref: OrderRef, reply: HttpReply, *, is_cancel: bool) -> OrderReply:
    try:
        accepted = _read(ref.family, reply.body, is_cancel=is_cancel)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidValueError):
        body = decode_body(reply.body, ReplyBody)
        summary = classify_reply(reply.status, body, reply.headers).summary
        return OutcomeUnknown(cause=f"{summary}: not the reply to a request about an order")
    if accepted is None or any(_is(ref, report) for report in accepted.reports):
        return accepted or RequestAccepted(reports=())
    return OutcomeUnknown(cause="200 about another order than the one of the request")


def _read(family: OrderFamily, body: bytes, *, is_cancel: bool) -> RequestAccepted | None:
    """None: accepted, and nothing is said about the order.

    Raises:
        msgspec.DecodeError, InvalidValueError: It cannot be read.
    """
    match family:
        case OrderFamily.SPOT_ORDER:
            shape = msgspec.json.decode(body, type=_OrderShape)
            if shape.list_client_order_id is not None:
                return _list_accepted(body)
            row = msgspec.json.decode(body, type=spot_rows.OrderRow)
            report = spot_rows.order_report(row, ReportSource.REPLY)
            return RequestAccepted(reports=(report,), fills=tuple(spot_rows.fills_of_reply(row)))
        case OrderFamily.SPOT_LIST:
            return _list_accepted(body)
        case OrderFamily.PERP_ORDER:
            perp_row = msgspec.json.decode(body, type=perp_rows.OrderRow)
            return RequestAccepted(reports=(perp_rows.order_report(perp_row, ReportSource.REPLY),))
        case OrderFamily.PERP_ALGO if is_cancel:
            if str(msgspec.json.decode(body, type=_AlgoCancelled).code) != str(_OK):
                raise InvalidValueError("the code is not 200")
            return None
        case OrderFamily.PERP_ALGO:
            algo_row = msgspec.json.decode(body, type=perp_rows.AlgoRow)
            return RequestAccepted(reports=(perp_rows.algo_report(algo_row, ReportSource.REPLY),))


def _list_accepted(body: bytes) -> RequestAccepted:
    row = msgspec.json.decode(body, type=spot_rows.OrderListRow)
    legs = (spot_rows.order_report(leg, ReportSource.REPLY) for leg in row.order_reports)
    return RequestAccepted(reports=(spot_rows.list_report(row, ReportSource.REPLY), *legs))


def _is(ref: OrderRef, report: OrderReport | OrderListReport) -> bool:
    if ref.exchange_id:
        return report.exchange_id == ref.exchange_id
    return report.client_id == ref.client_id
