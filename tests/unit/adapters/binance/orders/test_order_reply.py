"""What a reply to a request about an order means: an allow-list for each venue."""

from decimal import Decimal
from typing import Any

import pytest

from chimera_s1.adapters.binance.http.single_use_connection import HttpReply
from chimera_s1.adapters.binance.orders.order_reply import read_cancel_reply, read_order_reply
from chimera_s1.domain.execution.events import RefusalReason as Reason
from chimera_s1.domain.execution.order_request import OrderFamily, OrderRef
from chimera_s1.domain.execution.reports import (
    FillReport,
    LegRef,
    OrderListReport,
    OrderReport,
    ReportSource,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import (
    OrderNotFound,
    OutcomeUnknown,
    RequestAccepted,
    RequestRefused,
    RequestTurnedAway,
)
from tests.unit.adapters.binance.orders.order_replies import (
    ALGO,
    ALGO_CANCELLED,
    ALGO_PLACED,
    ALL,
    BTC,
    OCO,
    OCO_PLACED,
    PERP,
    PERP_PLACED,
    SPOT,
    SPOT_CANCELLED,
    SPOT_FULL,
    error,
    reply,
)

REPLY = ReportSource.REPLY
HTML = b"<html><h1>503</h1></html>"


def test_a_spot_full_reply_names_the_order_and_its_trades() -> None:
    assert read_order_reply(SPOT, reply(200, SPOT_FULL)) == RequestAccepted(
        reports=(
            OrderReport(
                family=OrderFamily.SPOT_ORDER,
                symbol=BTC,
                client_id="s1-e-1",
                exchange_id="28",
                side="BUY",
                type="MARKET",
                status="FILLED",
                qty=Decimal("0.01"),
                filled_qty=Decimal("0.01"),
                at_ms=1772725176595,
                source=REPLY,
                avg_price=Decimal(67010),
                time_in_force="GTC",
            ),
        ),
        fills=(
            FillReport(
                venue=Venue.SPOT,
                symbol=BTC,
                trade_id="56",
                order_id="28",
                client_id="s1-e-1",
                side="BUY",
                qty=Decimal("0.01"),
                price=Decimal(67010),
                at_ms=1772725176595,
                source=REPLY,
                commission=Decimal("0.00001"),
                commission_asset="BTC",
                maker=False,
            ),
        ),
    )


def test_a_spot_ack_without_a_status_is_a_new_order() -> None:
    names = ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")
    (report,) = accepted(SPOT, {name: SPOT_FULL[name] for name in names})
    assert isinstance(report, OrderReport)
    assert (report.status, report.exchange_id, report.filled_qty) == ("NEW", "28", Decimal(0))


def test_an_order_list_is_reported_with_its_legs() -> None:
    listed, stop = accepted(OCO, OCO_PLACED)
    assert listed == OrderListReport(
        symbol=BTC,
        client_id="s1-l-1",
        exchange_id="1",
        status="EXECUTING",
        legs=(
            LegRef(client_id="s1-l-1-sl", exchange_id="10"),
            LegRef(client_id="s1-l-1-tp", exchange_id="11"),
        ),
        at_ms=1772485608839,
        source=REPLY,
    )
    assert isinstance(stop, OrderReport)
    assert (stop.client_id, stop.list_id, stop.trigger) == ("s1-l-1-sl", "1", Decimal(65100))


def test_a_futures_reply_has_no_average_price() -> None:
    (report,) = accepted(PERP, PERP_PLACED)
    assert isinstance(report, OrderReport)
    assert (report.exchange_id, report.status, report.avg_price) == ("22542179", "NEW", None)
    assert (report.price, report.trigger) == (Decimal(67000), Decimal(0))
    assert report.qty == Decimal("0.01")


def test_an_algo_order_is_known_by_its_algo_id() -> None:
    (report,) = accepted(ALGO, ALGO_PLACED)
    assert isinstance(report, OrderReport)
    assert report.family is OrderFamily.PERP_ALGO
    assert (report.exchange_id, report.child_id, report.reduce_only) == ("2146760", "", True)
    (triggered,) = accepted(
        ALGO, {**ALGO_PLACED, "algoStatus": "TRIGGERED", "actualOrderId": "8886799"}
    )
    assert isinstance(triggered, OrderReport)
    assert triggered.child_id == "8886799"


def test_unknown_words_of_a_reply_are_kept() -> None:
    (report,) = accepted(
        PERP, {**PERP_PLACED, "status": "WAITING_FOR_GODOT", "type": "FANCY", "newField": {}}
    )
    assert isinstance(report, OrderReport)
    assert (report.status, report.type) == ("WAITING_FOR_GODOT", "FANCY")


@pytest.mark.parametrize(
    ("ref", "body"),
    [(SPOT, SPOT_FULL), (OCO, OCO_PLACED), (PERP, PERP_PLACED), (ALGO, ALGO_PLACED)],
    ids=lambda value: value.family.value if isinstance(value, OrderRef) else "",
)
def test_a_reply_about_another_order_leaves_the_outcome_unknown(
    ref: OrderRef, body: dict[str, Any]
) -> None:
    """Two replies were swapped on their way, say."""
    names = ("clientOrderId", "listClientOrderId", "clientAlgoId")
    swapped = {key: "s1-other" if key in names else value for key, value in body.items()}
    assert read_order_reply(ref, reply(200, swapped)) == OutcomeUnknown(
        cause="200 about another order than the one of the request"
    )


@pytest.mark.parametrize("ref", ALL, ids=lambda ref: ref.family.value)
@pytest.mark.parametrize(
    "unclear",
    [
        reply(200, HTML),
        reply(200, b""),
        reply(200, {}),
        reply(200, b'{"symbol":"BTCUSDT","orderId":28'),
        error(200, -1007),
        error(200, -2010),
        reply(202, {}),
        reply(302, b"", Location="https://elsewhere.test/?signature=1"),
        reply(403, HTML),
        reply(404, HTML),
        reply(451, b""),
        error(408, -1007),
        error(408, -2010),
        error(400, -1000),
        error(400, -1001),
        error(400, -1006),
        error(400, -1007),
        error(400, -9999),
        error(400, 100001003),
        error(500, -1000),
        error(503, -1001, "Internal error; unable to process your request. Please try again."),
        error(502, -2010),
        reply(503, HTML),
        reply(503, {"msg": "Unknown error, please check your request or try again later."}),
        reply(503, {"msg": "Service Unavailable."}),
        reply(503, b""),
        reply(504, HTML),
    ],
    ids=lambda each: f"{each.status}-{each.body[:24]!r}",
)
def test_every_unclear_reply_leaves_the_outcome_unknown(ref: OrderRef, unclear: HttpReply) -> None:
    assert isinstance(read_order_reply(ref, unclear), OutcomeUnknown)
    assert isinstance(read_cancel_reply(ref, unclear), OutcomeUnknown)


@pytest.mark.parametrize(
    ("ref", "code", "msg", "reason"),
    [
        (SPOT, -2010, "Order would immediately match and take.", Reason.POST_ONLY),
        (SPOT, -2010, "Order would trigger immediately.", Reason.WOULD_TRIGGER),
        (SPOT, -2010, "Stop price would trigger immediately.", Reason.WOULD_TRIGGER),
        (SPOT, -2010, "Duplicate order sent.", Reason.DUPLICATE_ID),
        (
            SPOT,
            -2010,
            "Account has insufficient balance for requested action.",
            Reason.BALANCE,
        ),
        (SPOT, -2010, "Market is closed.", Reason.OTHER),
        (SPOT, -2010, "This account may not place or cancel orders.", Reason.FORBIDDEN),
        (SPOT, -2010, "This symbol is not permitted for this account.", Reason.FORBIDDEN),
        (SPOT, -1013, "Filter failure: LOT_SIZE", Reason.RULE),
        (SPOT, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS", Reason.ORDERS_MAX),
        (OCO, -1013, "Filter failure: EXCHANGE_MAX_NUM_ORDER_LISTS", Reason.ORDERS_MAX),
        (
            OCO,
            -2010,
            "The relationship of the prices for the orders is not correct.",
            Reason.RULE,
        ),
        (OCO, -2010, "OCO orders are not supported for this symbol.", Reason.UNSUPPORTED),
        (OCO, -1165, "A limit order in a buy OCO must be below.", Reason.RULE),
        (PERP, -5022, "Due to the order could not be executed as maker, ...", Reason.POST_ONLY),
        (PERP, -2022, "ReduceOnly Order is rejected.", Reason.REDUCE_ONLY),
        (PERP, -2019, "Margin is insufficient.", Reason.BALANCE),
        (PERP, -4116, "ClientOrderId is duplicated.", Reason.DUPLICATE_ID),
        (PERP, -4164, "Order's notional must be no smaller than 5.0", Reason.RULE),
        (PERP, -4005, "Quantity greater than max quantity.", Reason.RULE),
        (PERP, -4061, "Order's position side does not match user's setting.", Reason.RULE),
        (PERP, -4120, "Order type not supported for this endpoint.", Reason.UNSUPPORTED),
        (PERP, -4411, "Please sign TradFi-Perps agreement contract fapi.", Reason.AGREEMENT),
        (ALGO, -2021, "Order would immediately trigger.", Reason.WOULD_TRIGGER),
        (ALGO, -4045, "Reach max stop order limit.", Reason.ORDERS_MAX),
        (ALGO, -1102, "Mandatory parameter 'triggerprice' was not sent.", Reason.RULE),
        (PERP, -2015, "Invalid API-key, IP, or permissions for action.", Reason.FORBIDDEN),
        (SPOT, -2015, "Invalid API-key, IP, or permissions for action.", Reason.FORBIDDEN),
        (SPOT, -1116, "Invalid orderType.", Reason.UNSUPPORTED),
    ],
)
def test_a_listed_code_is_refused_for_its_reason(
    ref: OrderRef, code: int, msg: str, reason: Reason
) -> None:
    refused = read_order_reply(ref, error(400, code, msg))
    assert refused == RequestRefused(reason=reason, code=code, message=msg)


@pytest.mark.parametrize("code", [-2021, -2022])
def test_spot_does_not_read_the_futures_meaning_into_cancel_and_replace(code: int) -> None:
    """On spot they are outcomes of a cancel-and-replace, of which a part may have succeeded."""
    assert isinstance(read_order_reply(SPOT, error(400, code)), OutcomeUnknown)
    assert isinstance(read_order_reply(PERP, error(400, code)), RequestRefused)


@pytest.mark.parametrize("code", [-3041, -5013, -6016])
def test_codes_of_the_wallet_say_nothing_about_an_order(code: int) -> None:
    for ref in ALL:
        assert isinstance(read_order_reply(ref, error(400, code)), OutcomeUnknown)


@pytest.mark.parametrize("ref", ALL, ids=lambda ref: ref.family.value)
@pytest.mark.parametrize(
    ("limited", "wait_ms"),
    [
        (error(429, -1003, "Too many requests.", Retry_After="7"), 7_000),
        (error(429, -1015, "Too many new orders.", Retry_After="3"), 3_000),
        (error(400, -1015, "Too many new orders.", Retry_After="3"), 3_000),
        (reply(418, HTML, Retry_After="120"), 120_000),
    ],
)
def test_a_rate_limit_turns_the_request_away(
    ref: OrderRef, limited: HttpReply, wait_ms: int
) -> None:
    for turned_away in (read_order_reply(ref, limited), read_cancel_reply(ref, limited)):
        assert isinstance(turned_away, RequestTurnedAway)
        assert turned_away.retry_after_ms == wait_ms
        assert not turned_away.clock_suspect


@pytest.mark.parametrize("ref", ALL, ids=lambda ref: ref.family.value)
def test_a_refused_timestamp_makes_the_clock_suspect(ref: OrderRef) -> None:
    turned_away = read_order_reply(ref, error(400, -1021, "Timestamp ... recvWindow."))
    assert isinstance(turned_away, RequestTurnedAway)
    assert turned_away.clock_suspect


@pytest.mark.parametrize("status", [400, 503])
def test_overload_is_a_certain_failure_on_futures_only(status: int) -> None:
    throttled = error(status, -1008, "Request throttled by system-level protection.")
    assert isinstance(read_order_reply(PERP, throttled), RequestTurnedAway)
    assert isinstance(read_order_reply(ALGO, throttled), RequestTurnedAway)
    assert isinstance(read_order_reply(SPOT, throttled), OutcomeUnknown)


def test_a_request_too_late_for_the_matching_engine_is_turned_away() -> None:
    late = error(400, -5028, "Timestamp is outside of the ME recvWindow")
    assert isinstance(read_order_reply(PERP, late), RequestTurnedAway)
    assert isinstance(read_order_reply(SPOT, late), OutcomeUnknown)


def test_a_spot_cancel_names_the_order_and_not_itself() -> None:
    (report,) = cancelled(SPOT, SPOT_CANCELLED)
    assert isinstance(report, OrderReport)
    assert (report.client_id, report.status) == ("s1-e-1", "CANCELED")


def test_the_cancel_of_a_leg_shows_the_whole_list() -> None:
    leg = OrderRef(
        family=OrderFamily.SPOT_ORDER, symbol=BTC, client_id="s1-l-1-sl", exchange_id="10"
    )
    assert [type(each) for each in cancelled(leg, OCO_PLACED)] == [OrderListReport, OrderReport]


def test_the_cancel_of_an_algo_order_is_accepted_with_a_code_as_text() -> None:
    assert cancelled(ALGO, ALGO_CANCELLED) == ()
    assert cancelled(ALGO, {**ALGO_CANCELLED, "code": 200}) == ()
    other = read_cancel_reply(ALGO, reply(200, {**ALGO_CANCELLED, "code": "-2011"}))
    assert isinstance(other, OutcomeUnknown)


@pytest.mark.parametrize("ref", ALL, ids=lambda ref: ref.family.value)
def test_a_cancel_of_an_unknown_order_is_no_refusal(ref: OrderRef) -> None:
    """It may be filled."""
    missing = read_cancel_reply(ref, error(400, -2011, "Unknown order sent."))
    assert missing == OrderNotFound(message="400 -2011 Unknown order sent.")
    assert isinstance(read_cancel_reply(ref, error(503, -2011)), OutcomeUnknown)
    assert isinstance(read_order_reply(ref, error(400, -2011)), OutcomeUnknown)


def test_a_refusal_shows_no_key_or_signature() -> None:
    secret = "a" * 64
    refused = read_order_reply(
        PERP, error(400, -1022, f"bad POST /fapi/v1/order?signature={secret} key {secret}")
    )
    assert isinstance(refused, RequestRefused)
    assert secret not in refused.message


def accepted(ref: OrderRef, body: dict[str, Any]) -> tuple[OrderReport | OrderListReport, ...]:
    read = read_order_reply(ref, reply(200, body))
    assert isinstance(read, RequestAccepted)
    return read.reports


def cancelled(ref: OrderRef, body: dict[str, Any]) -> tuple[OrderReport | OrderListReport, ...]:
    read = read_cancel_reply(ref, reply(200, body))
    assert isinstance(read, RequestAccepted)
    return read.reports
